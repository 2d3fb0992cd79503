"""The path of one trained vector: where it was at every stored step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from axenic.errors import DataError

Floats = npt.NDArray[np.float64]
Reals = npt.NDArray[np.floating]
Steps = npt.NDArray[np.int64]

FEWEST_POINTS = 3
"""Two displacements: with fewer points a path cannot bend."""

_CHUNK_DIMS = 65_536


@dataclass(frozen=True, eq=False)
class VectorPath:
    """One vector (an adapter's flattened A or B, a steering vector) at S evenly spaced steps.

    Attributes:
        name: What it is, for errors and plots.
        steps_S: int64 `[S]`, optimiser steps, ascending and evenly spaced. Only the last may come early: runs
            store their end, which need not be on the grid.
        vectors_SD: float32 or float64 `[S, D]`, in the vector's own units.

    Raises:
        DataError: Other shapes or dtypes, fewer than 3 points, NaN or infinities, or steps that repeat, run
            backwards, are missing or are not evenly spaced.
    """

    name: str
    steps_S: Steps
    vectors_SD: Reals

    def __post_init__(self) -> None:
        if self.vectors_SD.ndim != 2 or self.vectors_SD.dtype not in (np.float32, np.float64):
            raise DataError(
                "a path needs its vectors as rows",
                where=self.name,
                expected="float32 or float64 [steps, dims]",
                found=f"{self.vectors_SD.dtype} {list(self.vectors_SD.shape)}",
            )
        if self.steps_S.dtype != np.int64 or self.steps_S.shape != self.vectors_SD.shape[:1]:
            raise DataError(
                "a path needs one step number for each vector",
                where=self.name,
                expected=f"int64 [{self.vectors_SD.shape[0]}]",
                found=f"{self.steps_S.dtype} {list(self.steps_S.shape)}",
            )
        need_points(self.name, len(self.steps_S), FEWEST_POINTS)
        _check_steps(self.name, self.steps_S)
        # Row by row: a full fine-tune's path must not need a second copy only to be checked.
        for step, row_D in zip(self.steps_S.tolist(), self.vectors_SD, strict=True):
            if not np.isfinite(row_D).all():
                raise DataError(
                    "a path holds values that are not finite",
                    where=f"{self.name}, step {step}",
                    expected="no NaN and no infinity",
                    found=f"{int((~np.isfinite(row_D)).sum()):,} of {row_D.size:,} values",
                    hint="the run has diverged: lower the learning rate",
                )

    @cached_property
    def spacing(self) -> int:
        """Steps from one point to the next."""
        return int(self.steps_S[1] - self.steps_S[0])

    @cached_property
    def n_grid(self) -> int:
        """Points on the even grid: all of them, or all but a last one that comes early."""
        early = self.steps_S[-1] - self.steps_S[-2] < self.spacing
        return len(self.steps_S) - int(early)

    @cached_property
    def coordinates_SR(self) -> Floats:
        """The same path in R = min(S, D) dimensions: float64 `[S, R]` with every inner product unchanged.

        S points span at most S dimensions. With V^T = QR the rows of R^T have the inner products of V's rows,
        to rounding of V itself and not of its squares, which a Gram matrix would give. The dimensions are
        taken in blocks, so that a path of a whole model never needs a float64 copy.
        """
        n_steps, n_dims = self.vectors_SD.shape
        if n_dims <= n_steps:
            return self.vectors_SD.astype(np.float64)
        upper_RS: Floats = np.empty((0, n_steps))
        for start in range(0, n_dims, _CHUNK_DIMS):
            block_CS = self.vectors_SD[:, start : start + _CHUNK_DIMS].T.astype(np.float64)
            # numpy's types take no notice of mode="r": this is R alone.
            upper_RS = np.asarray(np.linalg.qr(np.concatenate([upper_RS, block_CS]), mode="r"), np.float64)
        return np.ascontiguousarray(upper_RS.T)

    def points_of(self, window: int) -> int:
        """A window in steps as a number of grid points.

        Raises:
            DataError: Not a positive multiple of the spacing, or too long for this path.
        """
        if window <= 0 or window % self.spacing:
            raise DataError(
                f"a window of {window} steps does not fit the stored steps",
                where=self.name,
                expected=f"a positive multiple of {self.spacing}",
                found=window,
            )
        points = window // self.spacing
        if 2 * points >= self.n_grid:
            raise DataError(
                f"a window of {window} steps is too long for this path",
                where=self.name,
                expected=f"at most {(self.n_grid - 1) // 2 * self.spacing} steps",
                found=window,
            )
        return points


def rows_of_every(steps: Sequence[int], every: int | None) -> list[int]:
    """Indices of the rows to keep: all, or those at multiples of `every` steps and the last one.

    The paper's phase run stores each of the first ten steps and then every fifth: `every` = 5 makes it even
    (papers.md 1.2.5).
    """
    if every is None:
        return list(range(len(steps)))
    if every < 1:
        raise DataError("steps cannot be thinned so", expected="every 1 or more", found=every)
    last = len(steps) - 1
    return [row for row, step in enumerate(steps) if step % every == 0 or row == last]


def need_points(name: str, found: int, fewest: int) -> None:
    """Raise `DataError` unless there are `fewest` points or more."""
    if found < fewest:
        raise DataError(
            "a path has too few points",
            where=name,
            expected=f"{fewest} or more",
            found=found,
            hint="train longer, or store more often (trajectory_steps)",
        )


def _check_steps(name: str, steps_S: Steps) -> None:
    gaps = np.diff(steps_S)
    if (gaps <= 0).any():
        at = int(np.argmax(gaps <= 0))
        raise DataError(
            "the steps of a path do not ascend",
            where=name,
            expected=f"more than {steps_S[at]} after {steps_S[at]}",
            found=int(steps_S[at + 1]),
        )
    # The usual gap, and one that occurs: the lower median, the last gap left out.
    spacing = int(np.sort(gaps[:-1])[(len(gaps) - 2) // 2])
    uneven = gaps != spacing
    uneven[-1] = gaps[-1] > spacing
    if uneven.any():
        at = int(np.argmax(uneven))
        missing = gaps[at] > spacing and gaps[at] % spacing == 0
        raise DataError(
            f"step {steps_S[at] + spacing} is missing from a path" if missing else "steps are not even",
            where=name,
            expected=f"one point every {spacing} steps",
            found=f"step {steps_S[at + 1]} after step {steps_S[at]}",
            hint="repeat the run" if missing else "read it with every=N to keep only multiples of N",
        )
