"""Where several runs went, how far and how fast; and where the loss pulled meanwhile (P3)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath

from axenic.report.collect import Findings
from axenic.report.documents import GradientsFile, PathsFile, PathTrace
from axenic.report.plots.gradients import plot_gradients
from axenic.report.plots.pathplane import plot_path_plane, plot_path_steps
from axenic.report.section import MOST_OF_A_KIND, Figure, folder_of
from axenic.report.tables import Table


def path_figures(findings: Findings) -> Iterator[Figure]:
    """The plane and the way over steps of each file."""
    for index, (name, found) in enumerate(list(findings.paths.items())[:MOST_OF_A_KIND]):
        fitted = " ".join(shlex.quote(run.name) for run in found.runs if run.fitted)
        command = f"axenic paths {fitted}" + "".join(
            f" --project {shlex.quote(run.name)}" for run in found.runs if not run.fitted
        )
        command += f" --out {folder_of(name)}"
        notes = "".join(f" {note}." for note in found.notes)
        yield Figure(
            f"{len(found.runs)} runs in one plane: the first two components hold {100 * sum(found.explained[:2]):.0f} %",
            "Every stored step of the runs with full lines was standardised and the plane of most variance taken; runs that go "
            "on from others (dashed, with arrows) were projected into it. "
            f"{_ends(found)} Small dots are starts, large ones ends.{notes}",
            command,
            (name,),
            plot_path_plane(found, f"plane{index}"),
            (("first and last stored step", _paths_table(found)),),
        )
        yield Figure(
            _fastest(found),
            "How far each run has gone along the direction in which the general run ends (a ring: half of that way is gone), "
            "and the length of what points elsewhere; in units of what is added to the model. Dashed runs were projected.",
            command,
            (name,),
            plot_path_steps(found, f"way{index}"),
        )


def gradient_figures(findings: Findings) -> Iterator[Figure]:
    """One picture for each file."""
    for index, (name, found) in enumerate(list(findings.gradients.items())[:MOST_OF_A_KIND]):
        label = found.label or PurePosixPath(name).parent.name or "the run"
        sd = "" if found.random_sd is None else f" (standard deviation {found.random_sd:.2g})"
        targets = " ".join(
            f"--{target} {shlex.quote(organism)}" for target, organism in found.targets.items()
        )
        yield Figure(
            _nearer(found, label),
            f"At each stored step: the way that the loss of {found.n_rows} training rows pulls what the adapters write, "
            "against the direction in which each run ends, and how steeply the loss falls along that direction. The grey band "
            f"is what random directions reach{sd}.{_within_chance(found)}{_frames(found)}",
            f"axenic gradients RUN {targets} --data FILE --out {folder_of(name)}",
            (name,),
            plot_gradients(found, f"gradients{index}"),
            (("step by step", _gradients_table(found)),),
        )


def _ends(found: PathsFile) -> str:
    if found.cos_general_narrow is None:
        return "One of the two ends is zero."
    return f"The general and the narrow end have a cosine of {_number(found.cos_general_narrow)}."


def _fastest(found: PathsFile) -> str:
    """What the runs that go on do; without any, how far each of the others gets."""
    shown = [run for run in found.runs if not run.fitted] or list(found.runs)
    parts = []
    for run in shown[:4]:
        half = "" if run.half_along_step is None else f", half by step {run.half_along_step}"
        parts.append(f"{run.name} {_number(run.along[0], 1)} → {_number(run.along[-1], 1)}{half}")
    more = f"; {len(shown) - 4} more" if len(shown) > 4 else ""
    return f"Along the general direction: {'; '.join(parts)}{more}"


def _paths_table(found: PathsFile) -> Table:
    def row(run: PathTrace) -> tuple[str, ...]:
        return (
            run.name + ("" if run.fitted else " (projected)"),
            f"{run.norms[0]:.3g} → {run.norms[-1]:.3g}",
            f"{_number(run.cos_general[0])} → {_number(run.cos_general[-1])}",
            f"{_number(run.cos_narrow[0])} → {_number(run.cos_narrow[-1])}",
            f"{_number(run.along[0], 2)} → {_number(run.along[-1], 2)}",
            f"{run.across[0]:.3g} → {run.across[-1]:.3g}",
            "–" if run.half_step is None else str(run.half_step),
            "–" if run.half_along_step is None else str(run.half_along_step),
        )

    columns = (
        "run", "norm", "cosine, general end", "cosine, narrow end", "along general", "across", "half-way at step",
        "half along at step",
    )  # fmt: skip
    return Table(columns, tuple(row(run) for run in found.runs), frozenset(range(1, 8)))


def _nearer(found: GradientsFile, label: str) -> str:
    """At how many steps the loss pulls nearer to the general end."""
    if not {"general", "narrow"} <= set(found.targets):
        return f"{label}: where the loss pulls"
    both = [
        (a, b)
        for point in found.points
        if (a := point.cosines["general"]) is not None and (b := point.cosines["narrow"]) is not None
    ]
    nearer = sum(a > b for a, b in both)
    return f"{label}: the loss pulls nearer to the general end at {nearer} of {len(both)} steps"


def _within_chance(found: GradientsFile) -> str:
    """At how many steps the nearer of the two says nothing."""
    steps = [
        point
        for point in found.points
        if point.random
        and all(
            value is None or min(point.random) <= value <= max(point.random)
            for value in point.cosines.values()
        )
    ]
    return f" At {len(steps)} of {len(found.points)} steps no cosine leaves it." if steps else ""


def _frames(found: GradientsFile) -> str:
    told = [f"{_number(value, 2)} ({target})" for target, value in found.frame_cosines.items()]
    if not told:
        return ""
    return f" The A's of run and ends have cosines of {', '.join(told)}: far below 1, the cosines here would say less."


def _gradients_table(found: GradientsFile) -> Table:
    targets = list(found.targets)
    rows = tuple(
        (
            str(point.step), f"{point.loss:.4f}", f"{point.norm:.3g}",
            *(_number(point.cosines[target]) for target in targets),
            *(f"{point.slopes[target]:.3g}".replace("-", "−") for target in targets),
            "–" if not point.random else f"{max(map(abs, point.random)):.3f}",
        )
        for point in found.points
    )  # fmt: skip
    columns = (
        "step", "loss", "gradient", *(f"cosine, {target}" for target in targets),
        *(f"slope, {target}" for target in targets), "random, at most",
    )  # fmt: skip
    return Table(columns, rows, frozenset(range(len(columns))))


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")
