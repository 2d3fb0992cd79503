"""The LoRA modules of a model: where each sits, its two factors and its scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.layer import ParamWrapper
from torch import nn

from axenic.errors import ModelError


@dataclass(frozen=True)
class LoraSite:
    """One LoRA module.

    Args:
        layer: Its decoder block; `n_layers` for a module behind the last block (`lm_head`).
        module_name: Its path in the base model, e.g. `model.layers.3.mlp.down_proj`.
        lora_A: [R, in]; `lora_A(x)` are the adapter scalars.
        lora_B: [out, R]; its output times `scale` is what the adapter adds to the module's output.
        scale: alpha/r, or alpha/sqrt(r) with rsLoRA, as read from the adapter.
    """

    layer: int
    module_name: str
    lora_A: nn.Module
    lora_B: nn.Module
    scale: float


def lora_sites(
    parts: Sequence[tuple[int, nn.Module]], names: Mapping[nn.Module, str], adapter: str
) -> Iterator[LoraSite]:
    """The LoRA modules in some parts of a model.

    Args:
        parts: (layer, module) pairs to search, in this order.
        names: Path of every module in the base model.
        adapter: Name of the adapter.

    Raises:
        ModelError: A module's share of the adapter is not a sum B(A(x)).
    """
    for layer, part in parts:
        for module in part.modules():
            if isinstance(module, LoraLayer):
                site = _lora_site(layer, names[module], module, adapter)
                if site is not None:
                    yield site


def trained_beside(config: LoraConfig) -> str:
    """What the adapter trained beside its LoRA modules, in words; empty if nothing."""
    parts = [f"biases ({config.bias})"] if config.bias != "none" else []
    parts += [f"whole modules ({', '.join(config.modules_to_save)})"] if config.modules_to_save else []
    parts += ["token embeddings"] if config.trainable_token_indices else []
    return " and ".join(parts)


def _lora_site(layer: int, name: str, module: LoraLayer, adapter: str) -> LoraSite | None:
    """None if the adapter has no part in this module; ModelError if its part is not B(A(x))."""
    problem = None
    if module.merged_adapters:
        problem = "it is merged into the weights"
    elif adapter in module.lora_embedding_A or layer == -1:
        problem = "it sits on the embedding"
    elif adapter in module.lora_variant:
        problem = f"it is a LoRA variant ({type(module.lora_variant[adapter]).__name__})"
    elif isinstance(module, ParamWrapper):
        problem = "it sits on a bare parameter (an expert of a mixture)"
    if problem is not None:
        raise ModelError(
            "the adapter's part in a module cannot be told from the base model",
            where=name,
            expected="LoRA on linear modules, not merged",
            found=problem,
        )
    if adapter not in module.lora_B:
        return None
    return LoraSite(
        layer, name, module.lora_A[adapter], module.lora_B[adapter], float(module.scaling[adapter])
    )
