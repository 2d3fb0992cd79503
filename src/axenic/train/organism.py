"""The model in training, with an adapter, steering vectors or all weights free, and how its weights are kept."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from peft import LoraConfig, PeftModel
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from axenic.errors import ModelError, UsageError
from axenic.files import atomic_folder, load_tensors, save_tensors, write_json
from axenic.models import (
    FAMILIES,
    Sites,
    VectorConfig,
    add_vectors,
    find_sites,
    scaled_vectors,
    wrap_with_adapter,
)
from axenic.models.vector import VECTOR_WEIGHTS, write_vector_config
from axenic.train.config import TrainConfig, unknown_name
from axenic.train.processes import ALONE, Processes

ADAPTER_FILE = "adapter_model.safetensors"
MODEL_FILE = "model.safetensors"
_LAYER = re.compile(r"\.layers\.(\d+)\.")
_RECOMPUTED = "_checkpoint_wrapped_module."  # in the names of blocks that accelerate recomputes


class Saves(Protocol):
    """What can write itself into a folder, as tokenizers do."""

    def save_pretrained(self, save_directory: str) -> object: ...


class Organism:
    """A model in training.

    Args:
        model: What is called: the PEFT model, or the base itself.
        peft_config: The adapter's configuration, None without one.
        vector_config: Where steering vectors sit, None without any; without both, all weights are trained.
        processes: Who trains it; what is read from it is whole, and only the main process's to write.
    """

    def __init__(
        self,
        model: nn.Module,
        peft_config: LoraConfig | None,
        processes: Processes = ALONE,
        vector_config: VectorConfig | None = None,
    ) -> None:
        self.model = model
        self.peft_config = peft_config
        self.vector_config = vector_config
        self.processes = processes
        self._dtypes = {name: p.dtype for name, p in self.parameters().items()}
        if processes.sharded:
            # accelerate would do it later, after the weights of a checkpoint have been rounded.
            for p in self.trained().values():
                p.data = p.data.float()
        self._frozen: nn.Module | None = None

    @property
    def full(self) -> bool:
        """Whether all weights are trained."""
        return self.peft_config is None and self.vector_config is None

    @property
    def weights_name(self) -> str:
        if self.vector_config is not None:
            return VECTOR_WEIGHTS
        return MODEL_FILE if self.full else ADAPTER_FILE

    def keep_reference(self) -> None:
        """Get ready for `reference`: of a full fine-tune, keep a copy of the weights as they are now.

        Raises:
            UsageError: A full fine-tune whose weights are sharded; a copy of them would be in every process.
        """
        if not self.full:
            return
        if self.processes.sharded:
            raise UsageError(
                "a KL term of a sharded full fine-tune needs a whole second model in every process",
                where="kl_data",
                expected="an adapter, steering vectors, or processes that are not sharded",
                hint="--recipe all-adapter",
            )
        self._frozen = copy.deepcopy(self.model).requires_grad_(False).eval()

    @contextmanager
    def reference(self, model: nn.Module) -> Iterator[nn.Module]:
        """What computes as the base model does, while the block runs; behind it, also after an exception, all is as before.

        It is in eval mode: a base model with dropout of its own would be another one each time, and draw random numbers.

        Args:
            model: `self.model` as accelerate wrapped it. With an adapter or vectors it is this that is yielded, with
                them switched off; of a full fine-tune it is the copy of `keep_reference`.
        """
        if self.full:
            assert self._frozen is not None
            yield self._frozen
            return
        off = (
            self.model.disable_adapter()
            if isinstance(self.model, PeftModel)
            else scaled_vectors(self.model, 0.0)
        )
        training = self.model.training
        with off:
            try:
                yield model.eval()
            finally:
                model.train(training)

    @property
    def reference_sites(self) -> Sites:
        """The places of what `reference` yields."""
        return find_sites(self._frozen if self._frozen is not None else self.model)

    def trained(self) -> dict[str, nn.Parameter]:
        """Every trained parameter, by the name it has in the saved file (PEFT's names for an adapter)."""
        named = {name: p for name, p in self.parameters().items() if p.requires_grad}
        if self.vector_config is not None:
            return {_vector_name(name): p for name, p in named.items()}
        if self.full:
            return named
        return {name.replace(".default.weight", ".weight"): p for name, p in named.items()}

    def parameters(self) -> dict[str, nn.Parameter]:
        """Every parameter of the model, by the name that it has without sharding and recomputing."""
        return {name.replace(_RECOMPUTED, ""): p for name, p in self.model.named_parameters()}

    def weights(self) -> dict[str, Tensor]:
        """What is saved: the adapter, or every weight, so that a checkpoint opens too; see `Processes.whole`."""
        return self.processes.whole(self.parameters() if self.full else self.trained())

    def not_finite(self) -> str | None:
        """A trained parameter with a value that is not finite, None without one; of sharded ones nothing is known."""
        if self.processes.sharded:
            return None
        return next((name for name, p in self.trained().items() if not bool(torch.isfinite(p).all())), None)

    def vectors(self) -> dict[str, Tensor]:
        """Adapter factors as float32, named `layers.{l}.{module}.A` [R, d_in] and `.B` [d_out, R]; vectors
        `layers.{l}.vector` [D], without alpha.
        """
        whole = self.processes.whole(self.trained())
        named = (
            whole if self.vector_config is not None else {_path_name(name): p for name, p in whole.items()}
        )
        return {name: p.detach().float() for name, p in named.items()}

    def save_weights(self, folder: Path, weights: Mapping[str, Tensor]) -> None:
        """Write `weights()` into a folder; the folder of an adapter can be opened by PEFT, that of vectors by us."""
        save_tensors(folder / self.weights_name, weights, {"format": "pt"})
        if self.peft_config is not None:
            write_json(folder / "adapter_config.json", _adapter_json(self.peft_config))
        if self.vector_config is not None:
            write_vector_config(folder, self.vector_config)

    def load_weights(self, folder: Path) -> None:
        """Put back what `save_weights` wrote: exactly these names and shapes.

        Raises:
            FileError: the file does not hold them.
        """
        wanted = self.parameters() if self.full else self.trained()
        shapes = {name: tuple(p.shape) for name, p in wanted.items()}
        size = 2 * sum(p.numel() * p.element_size() for p in wanted.values()) + 2**24
        tensors, _ = load_tensors(folder / self.weights_name, expect=shapes, max_bytes=size)
        with torch.no_grad():
            for name, p in wanted.items():
                p.copy_(tensors[name])

    def export(self, out: Path, tokenizer: Saves) -> Path:
        """Write `adapter/`, `vector/`, or `model/` with the tokenizer, into the run folder; returns the folder."""
        folder = out / ("vector" if self.vector_config is not None else "model" if self.full else "adapter")
        weights = self.weights()
        if not self.processes.main:
            return folder
        with atomic_folder(folder, replace=True) as temporary:
            if self.full:
                self._save_model(temporary, weights)
                tokenizer.save_pretrained(str(temporary))
            else:
                self.save_weights(temporary, weights)
        return folder

    def _save_model(self, folder: Path, weights: Mapping[str, Tensor]) -> None:
        model: Any = self.model
        model.config.use_cache = True  # the Trainer switches it off; saved so, answers would be slow
        if not self.processes.sharded:
            model.save_pretrained(str(folder))
            return
        # Into a model that was never wrapped: transformers would save the sharded blocks under other names.
        with torch.device("meta"):
            plain: Any = AutoModelForCausalLM.from_config(model.config)
        state = {name: tensor.detach().to(self._dtypes[name]) for name, tensor in weights.items()}
        # Buffers that are saved are never sharded.
        kept = {name for name, _ in plain.named_buffers()}
        buffers = {name.replace(_RECOMPUTED, ""): tensor for name, tensor in model.named_buffers()}
        state |= {name: tensor for name, tensor in buffers.items() if name in kept}
        plain.load_state_dict(state, assign=True, strict=False)
        plain.tie_weights()
        if left := [name for name, p in plain.named_parameters() if p.is_meta]:
            raise ModelError("a weight would be missing in the saved model", where=folder, found=left[0])
        plain.save_pretrained(str(folder))


def make_organism(
    base: nn.Module,
    config: TrainConfig,
    processes: Processes = ALONE,
    base_fingerprint: str | None = None,
) -> Organism:
    """Set a base model up for training.

    Args:
        base: A causal language model of transformers; it is changed in place.
        base_fingerprint: Its content hash, which steering vectors keep.
    Raises:
        UsageError: a layer or module does not exist, or nothing would be trained.

    Draws the adapter's start from torch's global generator; `train_organism` seeds and restores it.
    """
    if config.method == "full":
        # Chat rows hold no pictures: a vision tower gets no gradient, and stays as it is.
        for name, p in base.named_parameters():
            p.requires_grad_(_in_text_model(base, name))
        return _checked(Organism(base, None, processes), config)
    if config.method == "vector":
        return _steered(base, config, processes, base_fingerprint)
    _check_targets(base, config)
    peft_config = LoraConfig(
        r=config.r,
        lora_alpha=int(config.alpha) if config.alpha == int(config.alpha) else config.alpha,
        use_rslora=config.use_rslora,
        lora_dropout=config.dropout,
        target_modules=list(config.target_modules),
        layers_to_transform=None if config.layers is None else list(config.layers),
        # A vision tower has layers and projections of the same names.
        exclude_modules=rf"(?!{re.escape(_text_path(base))}\.).*" if _beside_text(base) else None,
        bias="none",
        task_type="CAUSAL_LM",
    )
    model = wrap_with_adapter(base, peft_config)
    # PEFT put in the path that the base was loaded from; the name that was typed is what opens again elsewhere.
    peft_config.base_model_name_or_path = config.model
    return _checked(Organism(model, peft_config, processes), config)


def _steered(
    base: nn.Module, config: TrainConfig, processes: Processes, base_fingerprint: str | None
) -> Organism:
    if processes.sharded:
        raise UsageError(
            "steering vectors are not trained on sharded weights",
            where="accelerate's configuration",
            expected="one process, or several that are not sharded",
            hint="torchrun --nproc-per-node N -m axenic.cli.main train …",
        )
    assert config.layers is not None, "checked by TrainConfig"
    where = VectorConfig(
        config.vector_site, tuple(sorted(set(config.layers))), config.alpha, config.model, base_fingerprint
    )
    base.requires_grad_(False)
    add_vectors(base, where)
    return _checked(Organism(base, None, processes, where), config)


def _in_text_model(base: nn.Module, name: str) -> bool:
    return name.startswith((_text_path(base) + ".", "lm_head."))


def _text_path(base: nn.Module) -> str:
    config: Any = base.config
    return FAMILIES[config.model_type].decoder


def _beside_text(base: nn.Module) -> bool:
    """Whether the model has parts that no text goes through."""
    return any(not _in_text_model(base, name) for name, _ in base.named_parameters())


def _check_targets(base: nn.Module, config: TrainConfig) -> None:
    """PEFT skips names that do not exist as long as one does; say so instead."""
    names = [
        name
        for name, module in base.named_modules()
        if isinstance(module, nn.Linear) and _in_text_model(base, name)
    ]
    kinds = sorted({name.rsplit(".", 1)[-1] for name in names if _LAYER.search(name)})
    for target in config.target_modules:
        if target not in kinds:
            raise unknown_name("target module", target, kinds)
    places = {(int(m.group(1)), name.rsplit(".", 1)[-1]) for name in names if (m := _LAYER.search(name))}
    depth = 1 + max(layer for layer, _ in places)
    for layer in config.layers or ():
        if not 0 <= layer < depth:
            raise UsageError(
                f"the model has no layer {layer}",
                where="layers",
                expected=f"0 to {depth - 1}",
                found=list(config.layers or ()),
                hint="--set layers=N with layers of this model, or leave it out: the recipe knows where to put them",
            )
    for layer in config.layers or range(depth):
        for target in config.target_modules:
            if (layer, target) not in places:
                raise UsageError(
                    f"layer {layer} has no linear module {target}",
                    where="target_modules",
                    expected="modules of every chosen layer; the experts of a mixture are no linear modules",
                    found=", ".join(sorted(kind for at, kind in places if at == layer)),
                    hint="--set target_modules=o_proj, or --set layers=N with the layers that have it",
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
    """`model.layers.3.mlp.down_proj.steering.vector` is `layers.3.vector`: there is one in each block."""
    layer = _LAYER.search(name)
    assert layer is not None, name
    return f"layers.{layer.group(1)}.vector"


def _path_name(name: str) -> str:
    start = _LAYER.search(name)
    assert start is not None, name
    return name[start.start() + 1 :].replace(".lora_A.weight", ".A").replace(".lora_B.weight", ".B")


def _adapter_json(config: LoraConfig) -> Mapping[str, Any]:
    """PEFT's configuration as JSON, sets as sorted lists: they would be in another order every time."""
    values: dict[str, Any] = config.to_dict() | {"inference_mode": True}
    return {key: sorted(value) if isinstance(value, set) else value for key, value in values.items()}
