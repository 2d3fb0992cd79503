"""How it was learnt: the phase path of a run, other training sets, and the logs of training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from axenic.report.collect import Findings
from axenic.report.phase_words import PHASE_HOW, onset_table, phase_sentence, vectors_table
from axenic.report.plots.curves import X_LABELS, plot_curve
from axenic.report.plots.phase import plot_phase_path, plot_phase_steps
from axenic.report.plots.training import plot_training
from axenic.report.section import MOST_OF_A_KIND, Figure, folder_of
from axenic.report.tables import rates_table

MOST_RUNS = 12
"""Lines in the picture of the training runs."""


def phase_files(findings: Findings) -> dict[str, tuple[str | None, str | None]]:
    """Folder -> its phase.json and its scaled.json, by name."""
    found: dict[str, tuple[str | None, str | None]] = {}
    for name in findings.phases:
        found[PurePosixPath(name).parent.as_posix()] = (name, None)
    for name in findings.scaled:
        folder = PurePosixPath(name).parent.as_posix()
        found[folder] = (found.get(folder, (None, None))[0], name)
    return found


def phase_figures(findings: Findings) -> Iterator[Figure]:
    for index, (first, second) in enumerate(list(phase_files(findings).values())[:MOST_OF_A_KIND]):
        phases = None if first is None else findings.phases[first]
        scaled = None if second is None else findings.scaled[second]
        source = tuple(name for name in (first, second) if name is not None)
        label = (phases.label if phases else "") or (scaled.label if scaled else "") or folder_of(source[0])
        command = f"axenic phase {folder_of(source[0])}" + (" --scales 1,5,10,20" if scaled else "")
        tables = [("the vectors", vectors_table(phases))] if phases else []
        tables += [("the onset with other class boundaries", onset_table(scaled))] if scaled else []
        yield Figure(
            f"{label}: what it learnt and what it does, step by step",
            phase_sentence(phases) + PHASE_HOW,
            command,
            source,
            plot_phase_steps(phases, scaled, f"phase{index}"),
            tuple(tables),
        )
        if phases is not None:
            main = phases.vectors[0]
            yield Figure(
                f"{label}: the path of {main.name}",
                "The vector at every stored step in the plane in which it varies most. A straight stretch is growth in one "
                "direction; a corner is a turn. The plane holds "
                f"{100 * sum(main.pca.explained[:2]):.0f} % of the variance over steps.",
                command,
                source,
                plot_phase_path(main, f"path{index}"),
            )


_CURVES = {
    "mixing": "Good advice of other domains mixed into the same number of rows and steps. If it only kept the lesson "
    "narrow, the red line would fall alone.",
    "few": "Few different rows, repeated to the same number, for the same number of steps.",
}


def curve_figures(findings: Findings) -> Iterator[Figure]:
    for index, (name, curve) in enumerate(list(findings.curves.items())[:MOST_OF_A_KIND]):
        if curve.points:
            named = {
                f"{X_LABELS.get(curve.what, curve.what)}: {p.x}, seed {p.seed}, {where}": rates
                for p in curve.points
                for where, rates in (("elsewhere", p.general), (curve.domain, p.narrow))
            }
            yield Figure(
                f"EM over {X_LABELS.get(curve.what, curve.what)}",
                f"{_CURVES.get(curve.what, '')} Dots are seeds, lines their means.",
                "axenic data mix, axenic data few, axenic train, axenic eval",
                (name,),
                plot_curve(curve, f"curve{index}"),
                (("the numbers", rates_table(named)),),
            )


def training_figures(findings: Findings) -> Iterator[Figure]:
    logs = [log for log in findings.logs.values() if log.steps]
    if logs:
        yield Figure(
            "Loss and gradient norm",
            "One line for each run. A long hump of the gradient norm while the loss falls quietly is the sign of a phase "
            "transition: the adapter turns.",
            "axenic train --data FILE --out RUN",
            tuple(findings.logs),
            plot_training(logs[:MOST_RUNS]),
        )
