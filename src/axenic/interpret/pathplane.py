"""Several runs in one plane, and how far and how fast a run that goes on moves (papers.md M3.9, M3.11, 5.1).

S steps of all runs together, D numbers of a step, C components.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from axenic.errors import DataError, UsageError
from axenic.files import write_json
from axenic.interpret.armresult import parse_result, plain_lists
from axenic.interpret.runpath import RunPath, check_alike, cosine, shares_frame
from axenic.interpret.vectorpath import Floats
from axenic.progress import Progress, silent

FILE = "paths.json"
COMPONENTS = 5
"""Of *Narrow Misalignment is Hard* (M3.11)."""

_CHUNK_DIMS = 32_768


@dataclass(frozen=True)
class RunTrace:
    """One run in the plane. Norms and parts are those of what is added to the model: s·B, alpha·v.

    Attributes:
        name: Of the run.
        fitted: Whether the components were fitted on it, or it was projected.
        steps: S of them.
        points: `[S][C]`, in standardised units.
        norms: `[S]`.
        cos_general, cos_narrow: `[S]`, cosine with the last step of the general and the narrow run; None where nothing
            has been learnt yet.
        along, across: `[S]`, the part along the general direction and the norm of what is perpendicular to it.
        half_step: First stored step at which half of the way from the first to the last point is gone; None if it
            did not move.
        half_along_step: The same of the part along the general direction alone.
        cos_frame: Of an adapter: cosine of its last A with the general run's. Far below 1, cosines of B say less.
    """

    name: str
    fitted: bool
    steps: tuple[int, ...]
    points: tuple[tuple[float, ...], ...]
    norms: tuple[float, ...]
    cos_general: tuple[float | None, ...]
    cos_narrow: tuple[float | None, ...]
    along: tuple[float, ...]
    across: tuple[float, ...]
    half_step: int | None
    half_along_step: int | None
    cos_frame: float | None


@dataclass(frozen=True)
class PathPlane:
    """All runs.

    Attributes:
        general, narrow: Runs whose last step is the general and the narrow direction.
        cos_general_narrow: Cosine of the two.
        explained: Share of the standardised variance of each component, in 0 to 1, falling.
        n_dims: D.
        vectors: What a step is made of.
        runs: Those fitted on, then those projected.
        notes: What the reader should know, one sentence each.
    """

    general: str
    narrow: str
    cos_general_narrow: float | None
    explained: tuple[float, ...]
    n_dims: int
    vectors: tuple[str, ...]
    runs: tuple[RunTrace, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return {"kind": "paths", **plain_lists(asdict(self))}

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "paths", row)


def path_plane(
    fitted: Sequence[RunPath],
    projected: Sequence[RunPath] = (),
    *,
    general: str | None = None,
    narrow: str | None = None,
    components: int = COMPONENTS,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> PathPlane:
    """Principal components of several runs' stored steps together; other runs in the same plane.

    Published (M3.11): rows are all checkpoints of five runs, each coordinate is standardised, five components; for
    steering vectors three of them explain 79 %. Runs that go on are projected.

    Args:
        fitted: Runs whose steps are the rows.
        projected: Others: of another KL weight, or that go on.
        general, narrow: Names of the runs whose last steps are the two directions; the first and the last of `fitted`
            unless told.
        components: C, at most; fewer where the paths span less.
        out: Folder for `paths.json`; None writes nothing.
        progress: Told after every vector.

    Raises:
        DataError: Runs with other vectors or another base model, with A's of another frame and a rank above 1, or
            that never move.
        UsageError: No run, two of one name, or no run of that name.
    """
    runs = [*fitted, *projected]
    by_name = {run.name: run for run in runs}
    if not fitted or len(by_name) < len(runs) or components < 1:
        raise UsageError(
            "a plane needs runs, each once, and a component",
            expected="one run or more to fit on, names that differ",
            found=[run.name for run in runs],
        )
    general, narrow = general or fitted[0].name, narrow or fitted[-1].name
    for role, name in (("general", general), ("narrow", narrow)):
        if name not in by_name:
            raise UsageError(
                f"no run has this name, to be the {role} one", expected=list(by_name), found=name
            )
    for run in runs:
        check_alike(runs[0], run)
    notes = _frame_notes(runs)
    sums = _Sums(fitted, runs, by_name[general], by_name[narrow])
    for done, vector in enumerate(runs[0].sizes):
        progress("paths", done, len(runs[0].sizes), "vector")
        sums.add(vector)
    progress("paths", len(runs[0].sizes), len(runs[0].sizes), "vector")
    explained, points_SC = sums.components(components)
    ends = np.cumsum([0, *(len(run.steps) for run in runs)])
    plane = PathPlane(
        general,
        narrow,
        _or_none(sums.cos_ends()),
        explained,
        runs[0].n_dims,
        tuple(runs[0].sizes),
        tuple(
            _trace(
                run,
                number < len(fitted),
                points_SC[start:end],
                sums.inner[number],
                sums.size_2,
                by_name[general],
            )
            for number, (run, start, end) in enumerate(zip(runs, ends[:-1], ends[1:], strict=True))
        ),
        notes,
    )
    if out is not None:
        write_json(Path(out) / FILE, plane.to_json())
    return plane


class _Sums:
    """Inner products over all D coordinates, added up block by block: no matrix of S x D numbers is ever held.

    Attributes:
        gram_SF: Of all standardised rows with those that are fitted on.
        inner: Of each run `[S, 5]`: of its rows with themselves, its first and last one, the general and narrow end.
        size_2: Norms of the general and the narrow end, once all is added.
    """

    def __init__(
        self, fitted: Sequence[RunPath], runs: Sequence[RunPath], general: RunPath, narrow: RunPath
    ) -> None:
        self.runs, self.ends = runs, (general, narrow)
        self.n_fit = sum(len(run.steps) for run in fitted)
        total = sum(len(run.steps) for run in runs)
        self.gram_SF: Floats = np.zeros((total, self.n_fit))
        self.inner: list[Floats] = [np.zeros((len(run.steps), 5)) for run in runs]
        self._ends_22 = np.zeros((2, 2))

    def add(self, vector: str) -> None:
        """Take one vector of all runs in."""
        rows = {run.name: run.read(vector) for run in self.runs}
        for start in range(0, self.runs[0].sizes[vector], _CHUNK_DIMS):
            blocks = [
                rows[run.name][:, start : start + _CHUNK_DIMS].astype(np.float64) * run.scale
                for run in self.runs
            ]
            at = {run.name: block for run, block in zip(self.runs, blocks, strict=True)}
            ends_2C = np.stack([at[run.name][-1] for run in self.ends])
            self._ends_22 += ends_2C @ ends_2C.T
            for inner_S5, block_SC in zip(self.inner, blocks, strict=True):
                inner_S5[:, 0] += np.einsum("sc,sc->s", block_SC, block_SC)
                inner_S5[:, 1:] += block_SC @ np.stack([block_SC[0], block_SC[-1], *ends_2C]).T
            all_SC = np.concatenate(blocks)
            _standardise(all_SC, self.n_fit)
            self.gram_SF += all_SC @ all_SC[: self.n_fit].T

    @property
    def size_2(self) -> Floats:
        sizes: Floats = np.sqrt(np.diagonal(self._ends_22))
        return sizes

    def cos_ends(self) -> float:
        """Cosine of the general and the narrow end; NaN where one is zero."""
        size = float(np.prod(self.size_2))
        return float(self._ends_22[0, 1]) / size if size else float("nan")

    def components(self, most: int) -> tuple[tuple[float, ...], Floats]:
        """Shares of variance, and every row in the components; of each the fitted point farthest out is positive."""
        own_FF = self.gram_SF[: self.n_fit]
        values_F, vectors_FF = np.linalg.eigh((own_FF + own_FF.T) / 2)
        values_F, vectors_FF = values_F[::-1], vectors_FF[:, ::-1]
        # Below rounding there is nothing but noise, which a projection would divide by.
        kept = min(most, int((values_F > 1e-12 * max(values_F[0], 0.0)).sum()))
        if values_F[0] <= 0 or kept == 0:
            raise DataError("the runs never move", expected="steps that differ", found="equal ones")
        points_SC = self.gram_SF @ (vectors_FF[:, :kept] / np.sqrt(values_F[:kept]))
        for column_S in points_SC.T:
            far_F = np.abs(column_S[: self.n_fit])
            if column_S[np.argmax(far_F >= (1 - 1e-9) * far_F.max())] < 0:
                column_S *= -1
        shares = values_F[:kept] / values_F[values_F > 0].sum()
        return tuple(shares.tolist()), points_SC


def _standardise(rows_SC: Floats, n_fit: int) -> None:
    """Mean 0 and standard deviation 1 over the first `n_fit` rows, in place; constant coordinates are only centred."""
    fit_FC = rows_SC[:n_fit]
    mean_C, var_C = fit_FC.mean(axis=0), fit_FC.var(axis=0)
    # What rounding makes of a constant is no variance (the rule of scikit-learn's StandardScaler).
    eps = np.finfo(np.float64).eps
    constant_C = var_C <= n_fit * eps * var_C + (n_fit * mean_C * eps) ** 2
    rows_SC -= mean_C
    rows_SC /= np.where(constant_C, 1.0, np.sqrt(var_C))


def _trace(
    run: RunPath, fitted: bool, points_SC: Floats, inner_S5: Floats, size_2: Floats, general: RunPath
) -> RunTrace:
    square_S, first_S, last_S, general_S, narrow_S = inner_S5.T
    norms_S = np.sqrt(square_S)
    along_S = general_S / size_2[0] if size_2[0] else np.zeros_like(general_S)
    # <v_t - v_0, v_T - v_0>
    way_S = last_S - first_S - last_S[0] + first_S[0]
    frames = None if run.frames is None or general.frames is None else (run.frames[1], general.frames[1])
    return RunTrace(
        run.name,
        fitted,
        run.steps,
        tuple(map(tuple, points_SC.tolist())),
        tuple(norms_S.tolist()),
        _cosines(general_S, norms_S, size_2[0]),
        _cosines(narrow_S, norms_S, size_2[1]),
        tuple(along_S.tolist()),
        tuple(np.sqrt(np.maximum(square_S - along_S**2, 0.0)).tolist()),
        _half(run.steps, way_S, square_S.max()),
        _half(run.steps, along_S - along_S[0], norms_S.max()),
        None if frames is None else _or_none(cosine(*frames)),
    )


def _cosines(inner_S: Floats, norms_S: Floats, size: float) -> tuple[float | None, ...]:
    return tuple(
        min(1.0, max(-1.0, inner / (norm * size))) if norm * size > 0 else None
        for inner, norm in zip(inner_S.tolist(), norms_S.tolist(), strict=True)
    )


def _half(steps: Sequence[int], way_S: Floats, scale: float) -> int | None:
    """The first step at which half of the last value is reached."""
    if abs(way_S[-1]) <= 1e-12 * scale:
        return None
    return steps[int(np.argmax(way_S / way_S[-1] >= 0.5))]


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _frame_notes(runs: Sequence[RunPath]) -> tuple[str, ...]:
    """Whose A began elsewhere: an error where that makes B's incomparable, a note where only a sign is open."""
    notes = []
    for run in runs:
        if shares_frame(run, [other for other in runs if other is not run]) or len(runs) == 1:
            continue
        if run.rank > 1:
            raise DataError(
                "this run's adapter began with another A, so that its B lies in another frame",
                where=run.name,
                expected="the A of another run here: one seed and recipe, or a run that goes on from one of them",
                found=f"rank {run.rank}, and no A that agrees",
                hint="train with the same seed, or add the run that it goes on from",
            )
        notes.append(f"{run.name} began with another A than the others: the sign of its B says nothing")
    return tuple(notes)
