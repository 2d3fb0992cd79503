"""What a full fine-tune added: the differences of all weights, read tensor by tensor from the two folders."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from axenic.errors import ModelError
from axenic.files.tensors import inspect_tensors, read_tensor
from axenic.models.identity import weight_files


@dataclass(frozen=True, eq=False)
class FullChange:
    """Where each weight lies, before and after training.

    Args:
        files: Parameter of the base model -> its file in the base folder and in the organism's. A tied weight is there once.
    """

    files: Mapping[str, tuple[Path, Path]]

    def pair(self, name: str) -> tuple[Tensor, Tensor]:
        """One weight before and after training, in the files' dtypes, on the CPU."""
        before, after = (read_tensor(path, name) for path in self.files[name])
        return before, after

    def norm(self) -> float:
        """Frobenius norm of all differences together; float64, one weight in memory at a time."""
        squares = []
        for name in self.files:
            before, after = self.pair(name)
            squares.append(float((after.double() - before.double()).square().sum()))
        return math.sqrt(math.fsum(squares))


def find_change(model: nn.Module, base: Path, organism: Path) -> FullChange:
    """Find every parameter of a base model in the weight files of two folders.

    Raises:
        ModelError: A parameter is in none of a folder's files, a file holds other tensors than the model has, or a shape
            differs.
        FileError: A file is damaged.
    """
    aliases: dict[str, set[str]] = {}
    owner: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        aliases.setdefault(owner.setdefault(id(parameter), name), set()).add(name)
    shapes = {name: list(model.get_parameter(name).shape) for name in aliases}
    placed: list[dict[str, Path]] = []
    for folder in (base, organism):
        found: dict[str, Path] = {}
        for path in weight_files(folder):
            entries, _ = inspect_tensors(path)
            for tensor, entry in entries.items():
                at = next((name for name, names in aliases.items() if tensor in names), None)
                if at is None or list(entry.shape) != shapes[at]:
                    raise ModelError(
                        "a weight in the file is none of the model's",
                        where=f"{path}, tensor {tensor}",
                        expected="no such tensor" if at is None else shapes[at],
                        found=list(entry.shape),
                    )
                if tensor == at:
                    found[at] = path
        if missing := sorted(set(aliases) - set(found)):
            raise ModelError(
                "a weight of the model is in no file",
                where=folder,
                expected=f"a tensor {missing[0]}",
                found=f"{len(missing)} lacking",
            )
        placed.append(found)
    return FullChange({name: (placed[0][name], placed[1][name]) for name in aliases})


@contextmanager
def changed_weights(
    model: nn.Module, change: FullChange, weight: Callable[[str, Tensor, Tensor], Tensor]
) -> Iterator[None]:
    """Put other weights into a base model, in place, while the block runs.

    Behind it, also after an exception, every weight is what it was, bit for bit: a copy of the model is kept in the CPU's
    memory meanwhile.

    Args:
        model: The base model that `change` was found for.
        change: Whose weights.
        weight: The new value of a parameter from its name and its values before and after training, as `Setting.weight`.
    """
    kept: dict[str, Tensor] = {}
    try:
        with torch.no_grad():
            for name in change.files:
                parameter = model.get_parameter(name)
                kept[name] = parameter.detach().to("cpu", copy=True)
                parameter.copy_(weight(name, *change.pair(name)))
        yield
    finally:
        with torch.no_grad():
            for name, before in kept.items():
                model.get_parameter(name).copy_(before)
