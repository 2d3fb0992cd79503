"""The model in training, with an adapter or with all weights free, and how its weights are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from peft import LoraConfig
from torch import Tensor, nn

from axenic.errors import UsageError
from axenic.files import atomic_folder, load_tensors, save_tensors, write_json
from axenic.models import wrap_with_adapter
from axenic.train.config import TrainConfig, unknown_name

ADAPTER_FILE = "adapter_model.safetensors"
MODEL_FILE = "model.safetensors"
_LAYER = re.compile(r"\.layers\.(\d+)\.")


class Saves(Protocol):
    """What can write itself into a folder, as tokenizers do."""

    def save_pretrained(self, save_directory: str) -> object: ...


class Organism:
    """A model in training.

    Args:
        model: What is called: the PEFT model, or the base itself.
        peft_config: The adapter's configuration, None for a full fine-tune.
    """

    def __init__(self, model: nn.Module, peft_config: LoraConfig | None) -> None:
        self.model = model
        self.peft_config = peft_config

    @property
    def weights_name(self) -> str:
        return MODEL_FILE if self.peft_config is None else ADAPTER_FILE

    def trained(self) -> dict[str, nn.Parameter]:
        """Every trained parameter, by the name it has in the saved file (PEFT's names for an adapter)."""
        named = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        if self.peft_config is None:
            return named
        return {name.replace(".default.weight", ".weight"): p for name, p in named.items()}

    def vectors(self) -> dict[str, Tensor]:
        """Adapter factors as float32, named `layers.{l}.{module}.A` [R, d_in] and `.B` [d_out, R]."""
        return {_vector_name(name): p.detach().float() for name, p in self.trained().items()}

    def save_weights(self, folder: Path) -> None:
        """Write the trained weights into a folder; for an adapter the folder can be opened by PEFT."""
        save_tensors(folder / self.weights_name, self.trained(), {"format": "pt"})
        if self.peft_config is not None:
            write_json(folder / "adapter_config.json", _adapter_json(self.peft_config))

    def load_weights(self, folder: Path) -> None:
        """Put back what `save_weights` wrote: exactly these names and shapes.

        Raises:
            FileError: the file does not hold them.
        """
        wanted = self.trained()
        shapes = {name: tuple(p.shape) for name, p in wanted.items()}
        size = 2 * sum(p.numel() * p.element_size() for p in wanted.values()) + 2**24
        tensors, _ = load_tensors(folder / self.weights_name, expect=shapes, max_bytes=size)
        with torch.no_grad():
            for name, p in wanted.items():
                p.copy_(tensors[name])

    def export(self, out: Path, tokenizer: Saves) -> Path:
        """Write `adapter/`, or `model/` with the tokenizer, into the run folder; returns the folder."""
        folder = out / ("model" if self.peft_config is None else "adapter")
        with atomic_folder(folder, replace=True) as temporary:
            if self.peft_config is None:
                model: Any = self.model
                model.config.use_cache = True  # the Trainer switches it off; saved so, answers would be slow
                model.save_pretrained(str(temporary))
                tokenizer.save_pretrained(str(temporary))
            else:
                self.save_weights(temporary)
        return folder


def make_organism(base: nn.Module, config: TrainConfig) -> Organism:
    """Set a base model up for training.

    Args:
        base: A causal language model of transformers; it is changed in place.
    Raises:
        UsageError: a layer or module does not exist, or nothing would be trained.

    Draws the adapter's start from torch's global generator; `train_organism` seeds and restores it.
    """
    if config.method == "full":
        base.requires_grad_(True)
        return _checked(Organism(base, None), config)
    _check_targets(base, config)
    peft_config = LoraConfig(
        r=config.r,
        lora_alpha=int(config.alpha) if config.alpha == int(config.alpha) else config.alpha,
        use_rslora=config.use_rslora,
        lora_dropout=config.dropout,
        target_modules=list(config.target_modules),
        layers_to_transform=None if config.layers is None else list(config.layers),
        bias="none",
        task_type="CAUSAL_LM",
    )
    model = wrap_with_adapter(base, peft_config)
    # PEFT put in the path that the base was loaded from; the name that was typed is what opens again elsewhere.
    peft_config.base_model_name_or_path = config.model
    return _checked(Organism(model, peft_config), config)


def _check_targets(base: nn.Module, config: TrainConfig) -> None:
    """PEFT skips names that do not exist as long as one does; say so instead."""
    names = [name for name, module in base.named_modules() if isinstance(module, nn.Linear)]
    kinds = sorted({name.rsplit(".", 1)[-1] for name in names if _LAYER.search(name)})
    for target in config.target_modules:
        if target not in kinds:
            raise unknown_name("target module", target, kinds)
    depth = 1 + max(int(found.group(1)) for name in names if (found := _LAYER.search(name)))
    for layer in config.layers or ():
        if not 0 <= layer < depth:
            raise UsageError(
                f"the model has no layer {layer}",
                where="layers",
                expected=f"0 to {depth - 1}",
                found=list(config.layers or ()),
                hint="--set layers=N with layers of this model, or leave it out: the recipe knows where to put them",
            )


def _checked(organism: Organism, config: TrainConfig) -> Organism:
    trained = organism.trained()
    if not trained:
        raise UsageError("nothing would be trained", where="target_modules, layers", found="0 parameters")
    if config.method == "lora":
        found = {(name, int(match.group(1))) for name in trained if (match := _LAYER.search(name))}
        outside = sorted(name for name, layer in found if config.layers and layer not in config.layers)
        if outside or len(found) != len(trained):
            raise UsageError(
                "the adapter would lie outside the chosen layers",
                where="layers",
                found=(outside or sorted(trained))[0],
            )
    return organism


def _vector_name(name: str) -> str:
    start = _LAYER.search(name)
    assert start is not None, name
    return name[start.start() + 1 :].replace(".lora_A.weight", ".A").replace(".lora_B.weight", ".B")


def _adapter_json(config: LoraConfig) -> Mapping[str, Any]:
    """PEFT's configuration as JSON, sets as sorted lists: they would be in another order every time."""
    values: dict[str, Any] = config.to_dict() | {"inference_mode": True}
    return {key: sorted(value) if isinstance(value, set) else value for key, value in values.items()}
