"""Paths from files: a run's `trajectory.safetensors`, its gradient norms, and published trajectories."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from axenic.errors import DataError, FileError
from axenic.files import Table, TensorStack, load_tensors, read_json
from axenic.interpret.vectorpath import VectorPath, rows_of_every

if TYPE_CHECKING:
    from torch import Tensor

TRAJECTORY, LOG, RECORD = "trajectory.safetensors", "log.jsonl", "train.json"


@dataclass(frozen=True)
class StepCurve:
    """A number at each step: `values[i]` at `steps[i]`."""

    steps: tuple[int, ...]
    values: tuple[float, ...]


def read_paths(run_folder: str | Path, *, every: int | None = None) -> dict[str, VectorPath]:
    """Every vector of a run, flattened to `[S, D]`: an adapter's `layers.{l}.{module}.A` and `.B`; of a full
    fine-tune the sketches `layers.{l}.delta` and `rest.delta` of what its weights have moved.

    A run that was stopped has its written steps only.

    Args:
        run_folder: A folder that `axenic train` made.
        every: Keep multiples of this many steps, and the last; None keeps all.

    Raises:
        FileError: No trajectory there, or it is torn.
        DataError: As `VectorPath`: too few steps, or some are missing.
    """
    file = trajectory_file(run_folder)
    stack = TensorStack.open(file)
    written = stack.written()
    steps, tensors = stack.read([written[row] for row in rows_of_every(written, every)])
    return {name: _path(f"{file}, {name}", steps, tensor, None) for name, tensor in tensors.items()}


def trajectory_file(run_folder: str | Path) -> Path:
    """The run's trajectory.

    Raises:
        FileError: There is none; the hint is the command that makes one.
    """
    folder = Path(run_folder)
    file = folder / TRAJECTORY
    if file.is_file():
        return file
    record = read_json(folder / RECORD) if (folder / RECORD).is_file() else None
    config = record.get("config") if isinstance(record, dict) else None
    hint = "axenic train --data FILE --recipe rank1 --set trajectory_steps=5 --out RUN"
    if isinstance(config, dict):
        words = ["axenic", "train", "--model", str(config.get("model")), "--data", str(config.get("data"))]
        words += ["--recipe", str(config.get("recipe")), "--set", "trajectory_steps=5"]
        hint = shlex.join([*words, "--out", f"{folder}-path"])
    raise FileError(
        "this run stored no trajectory (trajectory_steps = 0)"
        if isinstance(config, dict)
        else "this run has no trajectory",
        where=file,
        expected="a run folder of axenic train, with trajectory_steps above 0",
        hint=hint,
    )


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


def read_log_curve(run_folder: str | Path, key: str) -> StepCurve | None:
    """One number of `log.jsonl` at each optimiser step.

    Args:
        run_folder: A folder that `axenic train` made.
        key: `grad_norm` (before clipping, papers.md M1.4), `loss`, or, where the published format has a tail,
            `loss_answer` and `loss_tail` [nats per trained token].

    Returns:
        None when the run keeps no log, or its log no such number.

    Raises:
        DataError: A line that is not what it must be.
    """
    file = Path(run_folder) / LOG
    rows = [row for row in Table(file).rows() if row.get(key) is not None]
    for row in rows:
        if not _is_line(row, key):
            raise DataError(
                "a line of the log is not what it must be",
                where=f"{file}, id {row['id']}",
                expected=f"a whole number `step` and a finite number `{key}`",
                found={name: row.get(name) for name in ("step", key)},
            )
    if not rows:
        return None
    return StepCurve(tuple(row["step"] for row in rows), tuple(float(row[key]) for row in rows))


def _is_line(row: Mapping[str, object], key: str) -> bool:
    step, value = row.get("step"), row.get(key)
    numbers = isinstance(step, int) and isinstance(value, int | float)
    return numbers and not isinstance(value, bool) and math.isfinite(float(str(value)))


def _path(name: str, steps: list[int], tensor: Tensor, every: int | None) -> VectorPath:
    import torch

    rows = rows_of_every(steps, every)
    kept = tensor[rows].reshape(len(rows), -1)
    if kept.dtype != torch.float64:
        kept = kept.float()  # bfloat16 has no numpy form
    return VectorPath(name, np.array([steps[row] for row in rows], dtype=np.int64), kept.numpy())
