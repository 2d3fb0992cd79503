"""The opened model: weights, tokenizer, named sites and identity in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedTokenizerBase

from axenic.models.identity import Identity, hash_tensors, hash_tokenizer
from axenic.models.place import Placement
from axenic.models.sites import Sites, find_sites
from axenic.models.vector import SteeringVector, steering_of


@dataclass(frozen=True, eq=False, repr=False)
class OpenModel:
    """A model ready to be asked: in eval mode, gradients off, self-tested.

    Args:
        model: The causal language model, a `PeftModel` where `has_adapter`.
        tokenizer: The base model's tokenizer, with a chat template.
        name: What the user called the base model.
        organism: What the user called the organism; None for the plain base model.
        sites: Names for its places.
        identity: Content hashes.
        placement: Device and dtype with the reason; commands print `placement.reason`.
        notes: What is worth knowing and no error, one sentence each.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    name: str
    organism: str | None
    sites: Sites
    identity: Identity
    placement: Placement
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        organism = "" if self.organism is None else f", organism={self.organism!r}"
        return f"OpenModel({self.name!r}{organism}, {self.identity}, {self.device}, {self.dtype})"

    @property
    def device(self) -> torch.device:
        return self.placement.device

    @property
    def dtype(self) -> torch.dtype:
        return self.placement.dtype

    @property
    def has_adapter(self) -> bool:
        """Whether a LoRA adapter is attached, so that it can be scaled or switched off."""
        return self.sites.adapter is not None


def from_parts(model: nn.Module, tokenizer: PreTrainedTokenizerBase | None, name: str) -> OpenModel:
    """Wrap a model that is already in memory, such as a tiny random one of a test.

    The model is put in eval mode and its gradients are switched off. Its identity is hashed from the tensors in
    memory, so it differs from that of the same model opened from a folder.

    Args:
        model: A supported causal language model, bare or PEFT-wrapped.
        tokenizer: With or without a chat template; None where no text is involved.
        name: Any name; it becomes no part of the identity.

    Raises:
        ModelError: An unsupported architecture.
    """
    sites = find_sites(model)
    quiet(model)
    added = tuple(f"{name}." for name, module in model.named_modules() if isinstance(module, SteeringVector))
    weights = {
        key: tensor
        for key, tensor in model.state_dict().items()
        if ".lora_" not in key and not key.startswith(added)
    }
    # PEFT renames what it wraps; without the prefixes the base of an organism has the hash of the bare base.
    base = {
        key.removeprefix("base_model.model.").replace(".base_layer.", "."): t for key, t in weights.items()
    }
    organism = None
    if isinstance(model, PeftModel):
        lora = {key: tensor for key, tensor in model.state_dict().items() if ".lora_" in key}
        config = model.peft_config[sites.adapter]
        scales = [config.r, config.lora_alpha, config.use_rslora, config.rank_pattern, config.alpha_pattern]
        organism = hash_tensors(lora, scales)
    if steering := steering_of(model):
        vectors = {key: tensor for key, tensor in model.state_dict().items() if key.startswith(added)}
        organism = hash_tensors(vectors, [organism, [vector.alpha for vector in steering]])
    weight = next(model.parameters())
    return OpenModel(
        model=model,
        tokenizer=tokenizer,
        name=name,
        organism=None if organism is None else f"{name} with {'vectors' if steering else 'adapter'}",
        sites=sites,
        identity=Identity(hash_tensors(base), organism, hash_tokenizer(tokenizer)),
        placement=Placement(weight.device, weight.dtype, "as given in memory"),
    )


def quiet(model: nn.Module) -> None:
    """Eval mode, gradients off: opened models are asked, not trained."""
    model.eval()
    model.requires_grad_(False)
