"""The parameters that a run learnt, inside the model that is opened with them: found by name, put back, given gradients.

Names are those of a trajectory: `layers.{l}.{module}.A` and `.B` of an adapter, `layers.{l}.vector` of steering vectors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from axenic.errors import FileError, ModelError
from axenic.files import TensorStack, read_json
from axenic.interpret.pathfile import RECORD, trajectory_file
from axenic.intervene.factors import short_name
from axenic.models import OpenModel, SteeringVector, read_vectors
from axenic.models.adapter import read_adapter
from axenic.models.find import find_organism

_LAYER = re.compile(r"(?:^|\.)(layers\.\d+)\.(.*)")
_FACTOR = {".lora_A.weight": ".A", ".lora_B.weight": ".B"}


def learned_parameters(opened: OpenModel) -> tuple[dict[str, nn.Parameter], float]:
    """What the organism of an opened model added to its base, by name, and the factor on it (s, alpha).

    Raises:
        ModelError: There is none: the base itself, or a full fine-tune.
    """
    found: dict[str, nn.Parameter] = {}
    scales = set()
    for lora in opened.sites.lora_modules().values():
        for factor, module in (("A", lora.lora_A), ("B", lora.lora_B)):
            found[f"{short_name(lora)}.{factor}"] = module.get_parameter("weight")
        scales.add(round(lora.scale, 9))
    for name, module in opened.model.named_modules():
        layer = _LAYER.search(name)
        if isinstance(module, SteeringVector) and layer is not None:
            found[f"{layer.group(1)}.vector"] = module.vector
            scales.add(round(module.alpha * module.scale, 9))
    if len(scales) != 1:
        raise ModelError(
            "the opened model has no adapter or steering vectors of one scale",
            where=opened.organism or opened.name,
            expected="a LoRA adapter, or steering vectors",
            found=", ".join(map(str, sorted(scales))) or "the base model, or a full fine-tune",
            hint="open the base model with the run as organism",
        )
    return found, scales.pop()


def written(name: str) -> bool:
    """Whether a parameter is what is written into the model (B, a vector) and not what reads it (A)."""
    return not name.endswith(".A")


def open_learned_path(opened: OpenModel, run: str | Path) -> TensorStack:
    """The run's trajectory, once it is sure that its steps can be put into the opened model.

    Raises:
        FileError: No trajectory, or a full fine-tune's, which keeps no weights.
        ModelError: The opened model is of another base, scale or layout than the run.
    """
    file = trajectory_file(run)
    stack = TensorStack.open(file)
    kind = stack.metadata.get("kind")
    if kind not in ("adapter_trajectory", "vector_trajectory"):
        raise FileError(
            "this trajectory holds no weights that could be put back",
            where=file,
            expected="the trajectory of an adapter or of steering vectors",
            found="a sketch of a full fine-tune's path" if kind == "weight_sketch" else kind,
        )
    record = Path(run) / RECORD
    base = read_json(record).get("base_fingerprint") if record.is_file() else None
    own, scale = learned_parameters(opened)
    stored = float(stack.metadata["scale"])
    for what, wanted, found in (
        ("base model", base or opened.identity.base, opened.identity.base),
        ("scale", f"{stored:.6g}", f"{scale:.6g}"),
        ("set of tensors", stack.shapes, {name: tuple(p.shape) for name, p in sorted(own.items())}),
    ):
        if wanted != found:
            raise ModelError(
                f"the opened model has another {what} than the run",
                where=file,
                expected=wanted,
                found=found,
                hint=f"open the base model with the organism {run}",
            )
    return stack


def learned_tensors(organism: str | Path, base: str) -> dict[str, Tensor]:
    """What an organism added to its base, float32, by name.

    Args:
        base: Fingerprint of the base model that it must have been grown from, where it says so.

    Raises:
        ModelError: No organism, a full fine-tune, or one of another base model.
        FileError: A file is damaged.
    """
    found = find_organism(organism)
    if found.base_fingerprint not in (None, base):
        raise ModelError(
            "a target was grown from another base model",
            where=found.record,
            expected=base,
            found=found.base_fingerprint,
        )
    if found.kind == "full":
        raise ModelError(
            "a full fine-tune has no adapter or vectors to compare with",
            where=found.folder,
            expected="an adapter or steering vectors",
        )
    if found.kind == "vector":
        return {name: tensor.float() for name, tensor in read_vectors(found.folder)[1].items()}
    tensors = {}
    for name, tensor in read_adapter(found.folder)[1].items():
        layer = _LAYER.search(name)
        for ending, factor in _FACTOR.items():
            if layer is not None and name.endswith(ending):
                tensors[f"{layer.group(1)}.{layer.group(2).removesuffix(ending)}{factor}"] = tensor.float()
    return tensors


@contextmanager
def borrowed_parameters(own: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Parameters may be overwritten, and those written into the model have gradients, while the block runs.

    Behind it, also after an exception, values are as before, no gradient is left and none is wanted.
    """
    kept = {name: p.detach().clone() for name, p in own.items()}
    wanted = {name: p.requires_grad for name, p in own.items()}
    try:
        for name, p in own.items():
            p.requires_grad_(written(name))
        yield
    finally:
        with torch.no_grad():
            for name, p in own.items():
                p.copy_(kept[name])
                p.grad = None
                p.requires_grad_(wanted[name])
