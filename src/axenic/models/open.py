"""Open a model: find its folder, load it, put its organism on, check it, and say who it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from axenic.errors import ModelError
from axenic.files import read_json
from axenic.models.adapter import attach_adapter
from axenic.models.families import family_of
from axenic.models.find import Organism, find_model, find_organism
from axenic.models.identity import (
    Identity,
    hash_adapter,
    hash_tokenizer,
    hash_vectors,
    hash_weights,
    weight_files,
)
from axenic.models.opened import OpenModel, quiet
from axenic.models.place import Placement, resolve_device
from axenic.models.selftest import check_hooks
from axenic.models.sites import find_sites
from axenic.models.vector import attach_vectors, read_vectors

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")


def open_model(
    name: str | Path,
    organism: str | Path | None = None,
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    self_test: bool = True,
) -> OpenModel:
    """Open a base model, with or without an organism grown from it.

    Args:
        name: `nano`, a local model folder, or a Hugging Face id.
        organism: A PEFT LoRA folder, a run folder of `axenic train` (holds `adapter/`, `vector/` or `model/`), a full
            model folder, or a Hugging Face id of one of these. None opens the plain base model.
        device: `auto`, a device, or `split` for a model larger than one device (see `resolve_device`).
        dtype: `auto`, or a dtype.
        self_test: Run four short forwards that prove the hooks work on this model.

    Returns:
        The model in eval mode with gradients off. The tokenizer is always the base model's: one prompt for both.

    Raises:
        ModelError: Not found, not supported, pickled, without a chat template, or an organism that does not fit.
        SelfTestError: Hooks do not do on this model what every result relies on.
        FileError: A file is damaged.
        UsageError: A device or dtype that is not there.
    """
    placement = resolve_device(device, dtype)
    folder = find_model(name)
    config = check_config(folder)
    found = None if organism is None else find_organism(organism)
    tokenizer = load_tokenizer(folder)
    base_hash = hash_weights(folder)
    if found is not None:
        _check_grown_from(found, base_hash, str(name))
    model: Any
    if found is not None and found.kind == "full":
        # A checkpoint of a full fine-tune holds weights only; its config is the base model's.
        with_config = found.folder if (found.folder / "config.json").is_file() else folder
        _check_same_architecture(config, check_config(with_config), found.folder)
        model = load_weights(found.folder, placement, config_folder=with_config)
        organism_hash = hash_weights(found.folder)
    elif found is not None and found.kind == "vector":
        made_for = read_vectors(found.folder)[0]
        _check_grown_from(
            replace(found, base_fingerprint=made_for.base_fingerprint, base_model=made_for.base_model),
            base_hash,
            str(name),
        )
        model = load_weights(folder, placement)
        attach_vectors(model, found.folder)
        organism_hash = hash_vectors(found.folder)
    elif found is not None:
        model = attach_adapter(load_weights(folder, placement), found.folder)
        organism_hash = hash_adapter(found.folder)
    else:
        model, organism_hash = load_weights(folder, placement), None
    quiet(model)
    opened = OpenModel(
        model=model,
        tokenizer=tokenizer,
        name=str(name),
        organism=None if organism is None else str(organism),
        sites=find_sites(model),
        identity=Identity(base_hash, organism_hash, hash_tokenizer(tokenizer, folder)),
        placement=placement,
    )
    return replace(opened, notes=check_hooks(opened)) if self_test else opened


def check_config(folder: Path) -> dict[str, Any]:
    """Read a model folder's `config.json` and refuse an unsupported architecture before anything is loaded.

    Raises:
        ModelError: No config, or an unsupported `model_type`.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(
            "the folder is not a model", where=folder, expected="config.json", found="no such file"
        )
    config = read_json(path)
    if not isinstance(config, dict):
        raise ModelError("the model's config is not an object", where=path, found=type(config).__name__)
    family_of(str(config.get("model_type")), path)
    return config


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a model folder's tokenizer; code in the folder is never run.

    Raises:
        ModelError: It is not there, cannot be read, or has no chat template.
    """
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        # transformers would make one without words.
        raise ModelError(
            "the folder holds no tokenizer", where=folder, expected=" or ".join(_TOKENIZERS), found="none"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise ModelError("the tokenizer cannot be read", where=folder, found=error) from error
    if not tokenizer.chat_template:
        raise ModelError(
            "the tokenizer has no chat template, so that questions cannot be put to this model",
            where=folder,
            expected="chat_template.jinja, or chat_template in tokenizer_config.json",
            found="none",
            hint="open the instruction-tuned version, such as Qwen/Qwen2.5-14B-Instruct",
        )
    return tokenizer


def load_weights(folder: Path, placement: Placement, *, config_folder: Path | None = None) -> PreTrainedModel:
    """Load a causal language model from safetensors; code in the folder is never run.

    Args:
        folder: Holds the weights.
        placement: Device and dtype.
        config_folder: Holds `config.json`; `folder` unless told.

    Raises:
        ModelError: Weights are missing, pickled, damaged, not finite, or of another shape than the config says.
    """
    weight_files(folder)
    alone: dict[str, str | int | torch.device] = {"": placement.device}
    try:
        config = AutoConfig.from_pretrained(str(config_folder or folder), trust_remote_code=False)
        model, report = AutoModelForCausalLM.from_pretrained(
            str(folder),
            config=config,
            dtype=placement.dtype,
            device_map=placement.device_map or alone,
            # Looked for in the folder itself otherwise, which may hold weights only.
            generation_config=None if config_folder is None else _generation_config(config_folder, config),
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError("the model cannot be loaded", where=folder, found=error) from error
    if report["missing_keys"]:
        # transformers fills them with random numbers and only warns.
        missing = sorted(report["missing_keys"])
        raise ModelError(
            "the weights are incomplete",
            where=folder,
            expected=f"a tensor {missing[0]}",
            found=f"{len(missing)} lacking",
        )
    _check_finite(model, folder)
    return model


def _check_finite(model: PreTrainedModel, folder: Path) -> None:
    for name, weight in model.named_parameters():
        # A sum needs no memory; only where it is not finite is every value looked at.
        if weight.is_meta or bool(torch.isfinite(weight.sum())):
            continue
        bad = weight.numel() - int(torch.isfinite(weight).sum())
        if bad:
            raise ModelError(
                "the model holds values that are not finite",
                where=f"{folder}, tensor {name}",
                expected="no NaN and no infinity",
                found=f"{bad:,} of {weight.numel():,} values",
                hint="take an earlier checkpoint: a training run that diverged ends like this",
            )


def _generation_config(folder: Path, config: PreTrainedConfig) -> GenerationConfig:
    if (folder / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(str(folder))
    return GenerationConfig.from_model_config(config)


def _check_grown_from(found: Organism, base_hash: str, name: str) -> None:
    if found.base_fingerprint not in (None, base_hash):
        raise ModelError(
            f"the organism was not grown from {name}",
            where=found.record,
            expected=f"base model {found.base_fingerprint}",
            found=f"base model {base_hash}",
            hint=(
                "axenic train … --from-scratch: the base model has changed since"
                if found.base_model == name
                else f"--model {found.base_model or 'NAME'} with the base model that it was grown from"
            ),
        )


def _check_same_architecture(base: dict[str, Any], organism: dict[str, Any], folder: Path) -> None:
    for key in ("model_type", "hidden_size", "num_hidden_layers", "vocab_size"):
        own, other = (
            config.get("text_config", config).get(key, config.get(key)) for config in (base, organism)
        )
        if own != other:
            raise ModelError(
                "the organism is a model of another architecture than the base model",
                where=f"{folder / 'config.json'}, {key}",
                expected=own,
                found=other,
            )
