"""What a model's config limits: its context, the tokens that end an answer, and how many answers fit together."""

from __future__ import annotations

import torch
from transformers import PretrainedConfig, PreTrainedModel

from axenic.errors import ModelError
from axenic.models import OpenModel

_CPU_ROWS = 512
"""Past this a CPU gains nothing: even the nano model's matrix products saturate two cores well before."""

_CPU_CACHE = 2**30
"""Bytes of keys and values that a chunk may need on a CPU; large models gain nothing past a few dozen rows there."""

_MOST_ROWS = 4096


def text_config(opened: OpenModel) -> PretrainedConfig:
    """The config of the language model, also inside a multimodal wrapper."""
    return _causal_model(opened).config.get_text_config()


def stop_tokens(opened: OpenModel) -> frozenset[int]:
    """Ids that end an answer: the tokenizer's and the generation config's (Llama 3 and Gemma have several).

    Raises:
        ModelError: There is none, so that no answer would ever end.
    """
    generation = _causal_model(opened).generation_config
    listed = None if generation is None else generation.eos_token_id
    ids = [listed] if isinstance(listed, int) else list(listed or [])
    if opened.tokenizer.eos_token_id is not None:
        ids.append(opened.tokenizer.eos_token_id)
    if not ids:
        raise ModelError("the model names no token that ends an answer", where=opened.name)
    return frozenset(ids)


def batch_rows_for(opened: OpenModel, longest: int) -> int:
    """Rows of a chunk: as many as the cache of keys and values leaves room for, of the device's total memory.

    Total, not free, memory: a job that is repeated on the same machine must be cut in the same way.

    Args:
        opened: The model; its weights are counted.
        longest: Most tokens of a row, prompt and answer.
    """
    config = text_config(opened)
    head_dim = config.to_dict().get("head_dim") or config.hidden_size // config.num_attention_heads
    element = torch.empty((), dtype=opened.dtype).element_size()
    row_bytes: int = 2 * config.num_hidden_layers * config.num_key_value_heads * head_dim * longest * element
    if opened.device.type != "cuda":
        return max(1, min(_CPU_ROWS, _CPU_CACHE // row_bytes))
    total = torch.cuda.get_device_properties(opened.device).total_memory
    weights = sum(parameter.numel() * parameter.element_size() for parameter in opened.model.parameters())
    # Half of the rest: dropping finished rows needs the old and the new cache side by side.
    return max(1, min(_MOST_ROWS, int(0.45 * (0.95 * total - weights) / row_bytes)))


def _causal_model(opened: OpenModel) -> PreTrainedModel:
    model = opened.sites.model
    assert isinstance(model, PreTrainedModel)
    return model
