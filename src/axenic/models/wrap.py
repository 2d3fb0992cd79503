"""The one place where PEFT puts an adapter on a model."""

from __future__ import annotations

import warnings

from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel


def wrap_with_adapter(
    base: PreTrainedModel, config: LoraConfig, *, low_cpu_mem_usage: bool = False
) -> PeftModel:
    """`get_peft_model` without its warning: PEFT 0.21 asks transformers 5.23 under a name that it is going to drop,
    and nobody who runs an organism can do anything about it.

    Args:
        base: Changed in place.
        config: The adapter.
        low_cpu_mem_usage: Leave the adapter's weights on the meta device, to be filled.

    Raises:
        TypeError, ValueError: The adapter does not fit the model's modules.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        # A baked adapter ablates the embedding and leaves the head that shares its weight alone, as it must.
        warnings.filterwarnings(
            "ignore", message="Model has `tie_word_embeddings=True`", category=UserWarning
        )
        model = get_peft_model(base, config, low_cpu_mem_usage=low_cpu_mem_usage)
    if not isinstance(model, PeftModel):
        raise TypeError(f"{type(config).__name__} makes a {type(model).__name__}")
    return model
