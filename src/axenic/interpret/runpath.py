"""What a run learnt, at every stored step: its vectors side by side, read one at a time.

Of an adapter it is every module's B, times the adapter's scale; of steering vectors alpha·v; of a full fine-tune the
sketches of what its weights have moved. Why B alone, and not B·A: only B is a direction that is written (papers.md
1.2.3), and it is what the papers compare; the products of all modules would be billions of numbers a step. The price is
that A must be shared: B·A = (B·M)(M⁻¹·A) for any M, so that B's of adapters that began with other A's lie in other
frames. Runs of one seed begin with the same A, and a run that goes on (`start_from`) with its start's: `shares_frame`
checks that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from axenic.errors import DataError
from axenic.files import TensorStack, read_json
from axenic.interpret.pathfile import RECORD, read_published_path, trajectory_file
from axenic.interpret.vectorpath import Floats, Reals, VectorPath

SAME_FRAME = 0.99
"""Least cosine between two A's that count as one frame."""


@dataclass(frozen=True, eq=False)
class RunPath:
    """The path of everything that a run trained.

    Attributes:
        name: Of the run; unique among those that are compared.
        steps: S of them, ascending.
        sizes: Vector -> its numbers, in the order of the vectors.
        read: A vector's rows `[S, D]`, without `scale`.
        scale: Factor that makes of them what is added to the model.
        facts: What runs must have in common to be compared.
        frames: Of an adapter: all A's together at its first and last step; None for what has no A.
        rank: Of an adapter.
    """

    name: str
    steps: tuple[int, ...]
    sizes: Mapping[str, int]
    read: Callable[[str], Reals]
    scale: float = 1.0
    facts: Mapping[str, str] = field(default_factory=dict)
    frames: tuple[Floats, Floats] | None = None
    rank: int = 1

    @property
    def n_dims(self) -> int:
        """Numbers of a step."""
        return sum(self.sizes.values())


def open_run_path(run: str | Path, name: str | None = None) -> RunPath:
    """The path of a run folder with a trajectory, or of a published trajectory file (`.safetensors`, papers.md 5.1).

    Args:
        run: A folder that `axenic train` made with `trajectory_steps` above 0, or the file.
        name: What to call it; the folder's or file's name unless told.

    Raises:
        FileError: No trajectory there, or it is torn.
        DataError: It holds fewer than two steps.
    """
    run = Path(run)
    name = name or (run.stem if run.is_file() else run.name)
    if run.is_file():
        return path_of(name, read_published_path(run))
    file = trajectory_file(run)
    stack = TensorStack.open(file)
    steps = stack.written()
    if len(steps) < 2:
        raise DataError("a path needs two steps", where=file, expected="2 or more", found=len(steps))
    kind = stack.metadata.get("kind", "")
    is_adapter = kind == "adapter_trajectory"
    wanted = {
        n: int(np.prod(shape)) for n, shape in stack.shapes.items() if not is_adapter or n.endswith(".B")
    }
    record = read_json(run / RECORD) if (run / RECORD).is_file() else {}
    base = str(record.get("base_fingerprint", "")) if isinstance(record, dict) else ""
    sketch = {key: stack.metadata[key] for key in ("dims", "seed") if kind == "weight_sketch"}

    def read(vector: str) -> Reals:
        _, tensors = stack.read(names=[vector])
        rows: Reals = tensors[vector].reshape(len(tensors[vector]), -1).numpy()
        return rows[: len(steps)]  # a run that is still at work may have written another one since

    return RunPath(
        name,
        tuple(steps),
        wanted,
        read,
        float(stack.metadata.get("scale", 1.0)),
        {"kind": kind, "base model": base, **sketch},
        _frames(stack, steps) if is_adapter else None,
        min(stack.shapes[n][1] for n in wanted) if is_adapter else 1,
    )


def path_of(name: str, path: VectorPath, scale: float = 1.0) -> RunPath:
    """A single vector's path, such as a published one, as the path of a run."""
    return RunPath(
        name,
        tuple(path.steps_S.tolist()),
        {"vector": path.vectors_SD.shape[1]},
        lambda _: path.vectors_SD,
        scale,
        {"kind": "vector"},
    )


def check_alike(first: RunPath, other: RunPath) -> None:
    """Raise `DataError` unless two runs have the same vectors, of the same sizes, on the same base model."""
    for what in sorted({*first.facts, *other.facts}):
        if first.facts.get(what) != other.facts.get(what):
            raise DataError(
                f"runs of another {what} cannot be in one plane",
                where=other.name,
                expected=f"{first.facts.get(what)}, as {first.name}",
                found=other.facts.get(what),
            )
    for vector in sorted({*first.sizes, *other.sizes}):
        if first.sizes.get(vector) != other.sizes.get(vector):
            raise DataError(
                "runs with other vectors cannot be in one plane",
                where=f"{other.name}, {vector}",
                expected=f"{first.sizes.get(vector, 'no such vector')} numbers, as {first.name}",
                found=other.sizes.get(vector, "no such vector"),
                hint="compare runs of one recipe: the same layers, modules and rank",
            )


def shares_frame(run: RunPath, others: list[RunPath]) -> bool:
    """Whether a run's A began as that of another one began or ended, so that their B's can be compared."""
    if run.frames is None:
        return True
    known = [frame for other in others if other.frames is not None for frame in other.frames]
    return any(cosine(run.frames[0], frame) >= SAME_FRAME for frame in known)


def cosine(a_D: Floats, b_D: Floats) -> float:
    """Cosine of two vectors; NaN where one is zero."""
    size = float(np.linalg.norm(a_D) * np.linalg.norm(b_D))
    return float(a_D @ b_D) / size if size else float("nan")


def _frames(stack: TensorStack, steps: list[int]) -> tuple[Floats, Floats]:
    names = [name for name in stack.shapes if name.endswith(".A")]
    kept, tensors = stack.read([steps[0], steps[-1]], names)
    rows = [
        np.concatenate([tensors[name][row].reshape(-1).double().numpy() for name in names])
        for row in (0, len(kept) - 1)
    ]
    return rows[0], rows[1]
