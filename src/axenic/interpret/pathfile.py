"""Paths from files: a run's `trajectory.safetensors`, its gradient norms, and published trajectories."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from axenic.errors import DataError, FileError
from axenic.files import Table, TensorStack, load_tensors
from axenic.interpret.vectorpath import VectorPath, rows_of_every

if TYPE_CHECKING:
    from torch import Tensor

TRAJECTORY, LOG = "trajectory.safetensors", "log.jsonl"


@dataclass(frozen=True)
class StepCurve:
    """A number at each step: `values[i]` at `steps[i]`."""

    steps: tuple[int, ...]
    values: tuple[float, ...]


def read_paths(run_folder: str | Path, *, every: int | None = None) -> dict[str, VectorPath]:
    """Every vector of a run: `layers.{l}.{module}.A` and `.B`, each flattened to `[S, D]`.

    A run that was stopped has its written steps only.

    Args:
        run_folder: A folder that `axenic train` made.
        every: Keep multiples of this many steps, and the last; None keeps all.

    Raises:
        FileError: No trajectory there, or it is torn.
        DataError: As `VectorPath`: too few steps, or some are missing.
    """
    file = Path(run_folder) / TRAJECTORY
    if not file.is_file():
        raise FileError(
            "this run has no trajectory",
            where=file,
            expected="a run folder of axenic train",
            hint="train an adapter with trajectory_steps above 0",
        )
    steps, tensors = TensorStack.open(file).read()
    return {name: _path(f"{file}, {name}", steps, tensor, every) for name, tensor in tensors.items()}


def read_path(run_folder: str | Path, vector_name: str, *, every: int | None = None) -> VectorPath:
    """One vector of a run. Raises as `read_paths`, and `FileError` when it has no such vector."""
    paths = read_paths(run_folder, every=every)
    if vector_name not in paths:
        raise FileError(
            f"the trajectory has no vector {vector_name}",
            where=Path(run_folder) / TRAJECTORY,
            expected=", ".join(paths),
            found=vector_name,
        )
    return paths[vector_name]


def read_published_path(file: str | Path, *, every: int | None = None) -> VectorPath:
    """A published trajectory: safetensors with `steps` int64 `[S]` and `vectors` `[S, D]` (papers.md 5.1).

    Raises:
        FileError: Missing, not safetensors, other tensors, or values that are not finite.
        DataError: As `VectorPath`.
    """
    tensors, _ = load_tensors(file, expect={"steps": (None,), "vectors": (None, None)})
    steps = tensors["steps"]
    if steps.is_floating_point() or steps.is_complex():
        raise FileError("steps are not whole numbers", where=file, expected="int64", found=steps.dtype)
    if len(steps) != len(tensors["vectors"]):
        raise FileError(
            "a trajectory needs one step for each vector",
            where=file,
            expected=f"{len(tensors['vectors'])} steps",
            found=len(steps),
        )
    return _path(str(file), steps.tolist(), tensors["vectors"], every)


def read_gradient_norms(run_folder: str | Path) -> StepCurve | None:
    """The gradient's norm before clipping at each optimiser step, from `log.jsonl` (papers.md M1.4).

    Returns:
        None when the run keeps no log, or its log no gradient norms.

    Raises:
        DataError: A line that is not what it must be.
    """
    file = Path(run_folder) / LOG
    rows = [row for row in Table(file).rows() if "grad_norm" in row]
    for row in rows:
        if not _is_line(row):
            raise DataError(
                "a line of the log is not what it must be",
                where=f"{file}, id {row['id']}",
                expected="a whole number `step` and a finite number `grad_norm`",
                found={key: row.get(key) for key in ("step", "grad_norm")},
            )
    if not rows:
        return None
    return StepCurve(tuple(row["step"] for row in rows), tuple(float(row["grad_norm"]) for row in rows))


def _is_line(row: Mapping[str, object]) -> bool:
    step, norm = row.get("step"), row.get("grad_norm")
    numbers = isinstance(step, int) and isinstance(norm, int | float)
    return numbers and not isinstance(norm, bool) and math.isfinite(float(str(norm)))


def _path(name: str, steps: list[int], tensor: Tensor, every: int | None) -> VectorPath:
    import torch

    rows = rows_of_every(steps, every)
    kept = tensor[rows].reshape(len(rows), -1)
    if kept.dtype != torch.float64:
        kept = kept.float()  # bfloat16 has no numpy form
    return VectorPath(name, np.array([steps[row] for row in rows], dtype=np.int64), kept.numpy())
