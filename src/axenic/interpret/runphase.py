"""The phase analysis of a whole run: its vectors, its log, and the same vectors of other seeds (papers.md M1.4-M1.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from axenic.errors import DataError
from axenic.files import write_json
from axenic.interpret.armresult import parse_result, plain_lists
from axenic.interpret.pathcurves import Demean, Layout, comp_score, path_norms
from axenic.interpret.pathfile import StepCurve, read_log_curve, read_paths
from axenic.interpret.phase import PhaseResult, analyse_phase
from axenic.interpret.transition import (
    FEWEST_POINTS,
    SURROGATES,
    CombinedTransition,
    combine_transitions,
    find_transition,
)
from axenic.interpret.vectorpath import VectorPath
from axenic.progress import Progress, silent

FILE = "phase.json"

MOST_VECTORS = 12
"""Vectors analysed one by one unless one is named: of 336 modules three would be significant by chance."""

LOSSES = ("loss", "loss_answer", "loss_tail")
"""Of the log. The last two are there only where the published format's extra header was trained on."""

COMP_SCORES: tuple[tuple[str, Demean, Layout], ...] = (
    ("rows, mean per step (paper)", "step", "rows"),
    ("rows, mean over steps (code)", "checkpoints", "rows"),
    ("columns, mean per step", "step", "columns"),
    ("columns, mean over steps", "checkpoints", "columns"),
)
"""Both de-meanings in both layouts; of the rows, a rotation of all adapters together is not seen (papers.md 6, #15)."""


@dataclass(frozen=True)
class RunPhase:
    """One run.

    Attributes:
        label: The run folder's name.
        vectors: The main one first: all adapters together where there are several.
        partner_norms: Vector -> norm of its other factor A at the same steps.
        gradient: Norm of the gradient at each optimiser step; None without a log.
        losses: Name of `LOSSES` -> curve.
        comp: Comp scores of the set of adapters by name, at the steps of the vectors; empty for a single adapter
            and for adapters of different sizes.
        runs: Folders of the seeds, this run first; empty when no other was given.
        seeds: Vector -> its transition over those runs.
    """

    label: str
    vectors: tuple[PhaseResult, ...]
    partner_norms: dict[str, tuple[float, ...]]
    gradient: StepCurve | None
    losses: dict[str, StepCurve]
    comp: dict[str, tuple[float | None, ...]]
    runs: tuple[str, ...] = ()
    seeds: dict[str, CombinedTransition] | None = None

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return {"kind": "phases", **plain_lists(asdict(self))}

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "phases", row)


def phase_of_run(
    run_folder: str | Path,
    *,
    vector: str | None = None,
    every: int | None = None,
    other_seeds: Sequence[str | Path] = (),
    threshold: float = 0.0,
    seed: int = 0,
    n_surrogates: int = SURROGATES,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> RunPhase:
    """Every curve of a run that shows a phase transition, and whether there is one.

    Args:
        run_folder: What `axenic train` made, with a trajectory of three steps or more (30 to test for a transition).
        vector: One vector by name; None: all adapters together, and each by itself where there are at most
            `MOST_VECTORS`.
        every: Keep multiples of this many steps, and the last.
        other_seeds: Run folders that differ in the seed alone; the transition's step is averaged over all.
        threshold: Displacement below which a local cosine is dropped; the paper's is 0.0035 or 0.002.
        seed: Of the test's null.
        n_surrogates: Paths of the null.
        out: A folder for `phase.json`; None keeps nothing.
        progress: Told after every vector.

    Raises:
        FileError: A run without a trajectory (the hint is the command that makes one), or without that vector.
        DataError: Too few steps, some missing, or seeds whose paths are too short to test.
    """
    paths = named_paths(run_folder, every)
    chosen = _chosen(paths, vector, run_folder)
    others = [named_paths(folder, every) for folder in other_seeds]
    for folder, found in zip(other_seeds, others, strict=True):
        for name in chosen:
            _one(found, name, folder)
    vectors, seeds = [], {}
    for done, name in enumerate(chosen):
        progress("phase", done, len(chosen), "vector")
        partner = paths.get(_partner(name))
        result = analyse_phase(
            paths[name],
            np.random.default_rng(seed),
            threshold=threshold,
            partner=partner,
            n_surrogates=n_surrogates,
        )
        vectors.append(result)
        if others:
            seeds[name] = combine_transitions(
                [
                    find_transition(found[name], np.random.default_rng(seed), n_surrogates=n_surrogates)
                    for found in (paths, *others)
                ]
            )
    progress("phase", len(chosen), len(chosen), "vector")
    curves = {key: read_log_curve(run_folder, key) for key in LOSSES}
    run = RunPhase(
        Path(run_folder).absolute().name,
        tuple(vectors),
        {name: path_norms(paths[_partner(name)]) for name in chosen if _partner(name) in paths},
        read_log_curve(run_folder, "grad_norm"),
        {key: curve for key, curve in curves.items() if curve is not None},
        comp_scores(paths),
        tuple(str(folder) for folder in (run_folder, *other_seeds)) if others else (),
        seeds or None,
    )
    if out is not None:
        write_json(Path(out) / FILE, run.to_json())
    return run


def named_paths(run_folder: str | Path, every: int | None = None) -> dict[str, VectorPath]:
    """The vectors of a run under short names, and where there are several of a kind `all.A`, `all.B` or `all.delta`.

    A vector of all adapters together is the one beside the other. Raises as `read_paths`.
    """
    found = {name: _renamed(path, name) for name, path in read_paths(run_folder, every=every).items()}
    paths = dict(found)
    for kind in ("A", "B", "delta"):
        parts = [path for name, path in found.items() if name.endswith(f".{kind}")]
        if len(parts) > 1:
            # Coordinates keep every inner product, and are S wide at most: all adapters of a large model fit.
            joint_SD = np.concatenate([path.coordinates_SR for path in parts], axis=1)
            paths[f"all.{kind}"] = VectorPath(f"all.{kind}", parts[0].steps_S, joint_SD)
    return paths


def comp_scores(paths: Mapping[str, VectorPath]) -> dict[str, tuple[float | None, ...]]:
    """Every variant of the comp score of the adapters' B; empty unless there are several of one size (M1.9)."""
    adapters = [path for name, path in paths.items() if name.endswith(".B") and name != "all.B"]
    if len(adapters) < 2 or len({path.vectors_SD.shape for path in adapters}) > 1:
        return {}
    return {name: comp_score(adapters, demean=demean, layout=layout) for name, demean, layout in COMP_SCORES}


def _chosen(paths: Mapping[str, VectorPath], vector: str | None, run_folder: str | Path) -> list[str]:
    if vector is not None:
        return [_one(paths, vector, run_folder)]
    main = [name for name in paths if name.endswith((".B", ".delta"))]
    joint = [name for name in main if name.startswith("all.")]
    single = [name for name in main if name not in joint]
    return joint + single if len(single) <= MOST_VECTORS else joint


def _one(paths: Mapping[str, VectorPath], name: str, run_folder: str | Path) -> str:
    if name not in paths:
        raise DataError(
            f"the trajectory has no vector {name!a}", where=run_folder, expected=", ".join(paths), found=name
        )
    return name


def _partner(name: str) -> str:
    """The A of a B, by name."""
    return f"{name.removesuffix('.B')}.A" if name.endswith(".B") else ""


def _renamed(path: VectorPath, name: str) -> VectorPath:
    return VectorPath(name, path.steps_S, path.vectors_SD)


def too_short(run: RunPhase) -> str | None:
    """A sentence where the path was too short to test for a transition."""
    main = run.vectors[0]
    if main.transition is not None:
        return None
    return (
        f"{len(main.steps)} stored steps are too few to test for a transition ({FEWEST_POINTS} needed): "
        "store more often (--set trajectory_steps=1) or train longer"
    )
