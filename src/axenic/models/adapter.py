"""A LoRA adapter: read from a stranger's folder, put on a model, and checked to be there whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel
from peft.tuners.lora import LoraLayer
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor
from transformers import PreTrainedModel

from axenic.errors import ModelError
from axenic.files import load_tensors, read_json
from axenic.models.wrap import wrap_with_adapter

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def attach_adapter(base: PreTrainedModel, folder: Path) -> PeftModel:
    """Wrap `base` with the adapter in `folder`; every tensor of the file is in the model afterwards, and equal.

    The adapter's weights are kept in float32 whatever the model's dtype, as PEFT does.

    Args:
        base: The base model, already on its device; changed in place.
        folder: Holds `adapter_config.json` and `adapter_model.safetensors`.

    Raises:
        ModelError: Not a LoRA adapter, pickled, made for a model of another size (names the module, expected and
            found shape), values that are not finite, or tensors without a place.
        FileError: A file is missing or damaged.
    """
    config, tensors = read_adapter(folder)
    # Read before PEFT overwrites it with the name of the model in memory; None spares its warning that it does.
    hint = _hint(config)
    config.base_model_name_or_path = None
    tensors = {
        name: tensor.float() if ".lora_" in name else tensor.to(base.dtype)
        for name, tensor in tensors.items()
    }
    try:
        model = wrap_with_adapter(base, config, low_cpu_mem_usage=True)
    except (TypeError, ValueError) as error:
        raise ModelError(
            "the adapter does not fit this model's modules",
            where=folder / CONFIG,
            expected=f"target modules of {type(base).__name__}",
            found=error,
            hint=hint,
        ) from error
    _check_shapes(model, tensors, folder, hint)
    try:
        result = set_peft_model_state_dict(model, tensors, low_cpu_mem_usage=True)
    except RuntimeError as error:
        # Only for files in an older naming, which PEFT translates; `_check_shapes` has named all others.
        raise ModelError(
            "the adapter's tensors do not fit this model",
            where=folder / WEIGHTS,
            found=error,
            hint=hint,
        ) from error
    missing = [name for name in result.missing_keys if "lora_" in name]
    if missing or result.unexpected_keys:
        raise ModelError(
            "the adapter's tensors and the model's modules do not match; the rest would be left out silently",
            where=folder / WEIGHTS,
            expected=f"a tensor for {missing[0]} ({len(missing)} lacking)"
            if missing
            else "a module for every tensor",
            found=f"{result.unexpected_keys[0]} without a module ({len(result.unexpected_keys)} such)"
            if result.unexpected_keys
            else "no such tensor",
            hint=hint,
        )
    _place_beside_base(model, base)
    _check_loaded(model, tensors, folder)
    return model


def read_adapter(folder: Path) -> tuple[LoraConfig, dict[str, Tensor]]:
    """Read config and tensors of a PEFT folder and check them as far as possible without a model.

    Raises:
        ModelError: Pickled, incomplete, not LoRA, or values that are not finite.
        FileError: A file is damaged.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            pickled = name == WEIGHTS and (folder / "adapter_model.bin").is_file()
            raise ModelError(
                "the adapter is pickled; Axenic never unpickles"
                if pickled
                else "the adapter folder is incomplete",
                where=folder,
                expected=name,
                found="adapter_model.bin"
                if pickled
                else ", ".join(sorted(p.name for p in folder.iterdir())) or "nothing",
                hint="ask the owner for adapter_model.safetensors" if pickled else None,
            )
    facts = read_json(folder / CONFIG)
    if not isinstance(facts, dict) or facts.get("peft_type") != "LORA":
        raise ModelError(
            "only LoRA adapters can be opened",
            where=folder / CONFIG,
            expected='"peft_type": "LORA"',
            found=facts.get("peft_type") if isinstance(facts, dict) else type(facts).__name__,
        )
    try:
        config = PeftConfig.from_pretrained(str(folder))
    except (TypeError, ValueError) as error:
        raise ModelError("the adapter's config cannot be read", where=folder / CONFIG, found=error) from error
    config.inference_mode = True
    # Initialisation would be overwritten anyway; the special ones (PiSSA, EVA, ...) would change the base weights.
    config.init_lora_weights = True
    tensors, _ = load_tensors(folder / WEIGHTS, finite=False)
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            bad = tensor.numel() - int(torch.isfinite(tensor).sum())
            raise ModelError(
                "the adapter holds values that are not finite",
                where=f"{folder / WEIGHTS}, tensor {name}",
                expected="no NaN and no infinity",
                found=f"{bad:,} of {tensor.numel():,} values",
                hint="take an earlier checkpoint: this training run diverged",
            )
    plain = config.bias == "none" and not config.modules_to_save and not config.trainable_token_indices
    strange = [name for name in tensors if ".lora_" not in name]
    if plain and strange:
        # PEFT would put them in place of the base model's weights, silently.
        raise ModelError(
            "the adapter's file also replaces weights of the base model",
            where=folder / WEIGHTS,
            expected="LoRA tensors, as its config says",
            found=f"{strange[0]} ({len(strange)} such)",
        )
    _check_rank(facts, tensors, folder)
    return config, tensors


def _check_rank(facts: dict[str, Any], tensors: dict[str, Tensor], folder: Path) -> None:
    """Refuse a rank above those of the tensors: PEFT would first make factors of that rank, of any size."""
    pattern = facts.get("rank_pattern") or {}
    stated = [facts.get("r", LoraConfig.r), *(pattern.values() if isinstance(pattern, dict) else [pattern])]
    rows = [
        len(tensor) for name, tensor in tensors.items() if ".lora_A" in name or ".lora_embedding_A" in name
    ]
    for rank in stated:
        if type(rank) is not int or rank < 1 or (rows and rank > max(rows)):
            raise ModelError(
                "the adapter's config says a rank that its tensors do not have",
                where=folder / CONFIG,
                expected=f"r from 1 to {max(rows)}" if rows else "r, a whole number from 1",
                found=ascii(rank)[:40],
                hint="ask the owner for the adapter_config.json that belongs to the tensors",
            )


def _check_shapes(model: PeftModel, tensors: dict[str, Tensor], folder: Path, hint: str | None) -> None:
    for name, own in _own_tensors(model).items():
        found = tensors.get(name)
        if found is not None and found.shape != own.shape:
            raise ModelError(
                f"the adapter was made for a model of another size than {type(model.get_base_model()).__name__} here",
                where=f"{folder / WEIGHTS}, {name.removeprefix('base_model.model.')}",
                expected=list(own.shape),
                found=list(found.shape),
                hint=hint,
            )


def _place_beside_base(model: PeftModel, base: PreTrainedModel) -> None:
    """Each factor on the device of the module that it adapts: of a split model, these differ."""
    devices = vars(base).get("hf_device_map")
    if devices is None or len(set(devices.values())) == 1:
        model.to(base.device)
        return
    for module in model.modules():
        if isinstance(module, LoraLayer):
            for name in model.active_adapters:
                module._move_adapter_to_device_of_base_layer(name)


def _check_loaded(model: PeftModel, tensors: dict[str, Tensor], folder: Path) -> None:
    """Compare what lies in the model with the file; names that PEFT translated are covered by its own key report."""
    for name, own in _own_tensors(model).items():
        found = tensors.get(name)
        if own.is_meta or (
            found is not None and not torch.equal(own.float().cpu(), found.to(own.dtype).float())
        ):
            raise ModelError(
                "a tensor of the adapter did not arrive in the model",
                where=f"{folder / WEIGHTS}, {name}",
                found="no values" if own.is_meta else "other values",
            )


def _own_tensors(model: PeftModel) -> dict[str, Tensor]:
    # "auto" would ask the network whether the vocabulary was resized, and wait for it.
    own: dict[str, Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)
    return own


def _hint(config: LoraConfig) -> str:
    name = config.base_model_name_or_path
    if not name:
        return "--model NAME with the base model that it was made for; the adapter does not say which"
    return f"--model {name}, which the adapter says is its base model"
