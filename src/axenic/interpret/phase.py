"""The phase analysis of one trained vector: every curve that a report draws, and whether there is a transition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from axenic.interpret.armresult import parse_result, plain_lists
from axenic.interpret.pathcurves import LocalCosine, PcaPath, local_cosine, path_norms, pca_path
from axenic.interpret.pathfile import StepCurve
from axenic.interpret.transition import FEWEST_POINTS, SURROGATES, Transition, find_transition
from axenic.interpret.vectorpath import VectorPath

PAPER_WINDOWS = (5, 10, 15)
"""k in steps, *Model Organisms for EM*, appendix F (papers.md M1.6)."""


@dataclass(frozen=True)
class PhaseResult:
    """One vector's path.

    Attributes:
        name: The vector.
        steps: S optimiser steps.
        norms: `[S]`, in the vector's units.
        threshold: Displacement below which a local cosine was dropped, in the vector's units.
        cosines: One local cosine curve for each window.
        pca: The first two components of the path.
        gradient: Norm of the gradient at each optimiser step; None when the run has no log of it.
        comp: Comp scores `[S]` of the set of adapters that the vector is of, by name; empty for a single one.
        transition: None for fewer than 30 points: too few to test.
    """

    name: str
    steps: tuple[int, ...]
    norms: tuple[float, ...]
    threshold: float
    cosines: tuple[LocalCosine, ...]
    pca: PcaPath
    gradient: StepCurve | None
    comp: dict[str, tuple[float | None, ...]]
    transition: Transition | None

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return {"kind": "phase", **plain_lists(asdict(self))}

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "phase", row)


def analyse_phase(
    path: VectorPath,
    rng: np.random.Generator,
    *,
    windows: Sequence[int] | None = None,
    threshold: float = 0.0,
    partner: VectorPath | None = None,
    gradient: StepCurve | None = None,
    comp: Mapping[str, Sequence[float | None]] | None = None,
    n_surrogates: int = SURROGATES,
) -> PhaseResult:
    """Norms, local cosines, PCA path and the test for a transition (papers.md M1.4-M1.9).

    Args:
        path: `[S, D]`.
        rng: Of the test's null; the caller's own.
        windows: Of the local cosines, in steps. None: 5, 10 and 15 as in the paper where the spacing allows
            it, else one, two and three times the spacing, as far as the path is long enough.
        threshold, partner: As for `local_cosine`.
        gradient: As `read_log_curve` gives it.
        comp: Name -> `comp_score` of the adapters that the vector is one of.
        n_surrogates: Paths of the null.

    Raises:
        DataError: As `local_cosine`, `pca_path` and `find_transition`.
    """
    chosen = _default_windows(path) if windows is None else windows
    tested = path.n_grid >= FEWEST_POINTS
    return PhaseResult(
        path.name,
        tuple(path.steps_S.tolist()),
        path_norms(path),
        threshold,
        tuple(local_cosine(path, k, threshold=threshold, partner=partner) for k in chosen),
        pca_path(path, min(2, *path.vectors_SD.shape)),
        gradient,
        {} if comp is None else {name: tuple(values) for name, values in comp.items()},
        find_transition(path, rng, n_surrogates=n_surrogates) if tested else None,
    )


def _default_windows(path: VectorPath) -> list[int]:
    paper = all(k % path.spacing == 0 for k in PAPER_WINDOWS) and 2 * PAPER_WINDOWS[0] < (
        path.n_grid * path.spacing
    )
    wanted = PAPER_WINDOWS if paper else tuple(path.spacing * times for times in (1, 2, 3))
    return [k for k in wanted if 2 * (k // path.spacing) < path.n_grid]
