"""Switching it off and on: ablations, the transfer matrix, steering sweeps, and cosines of directions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from axenic.report.collect import Findings
from axenic.report.documents import AblationFile, Rates
from axenic.report.plots.ablation import plot_ablation
from axenic.report.plots.cosines import plot_cosines
from axenic.report.plots.frontier import plot_frontier
from axenic.report.plots.steering import plot_steering_curves, plot_steering_map
from axenic.report.plots.transfer import plot_transfer
from axenic.report.section import MOST_OF_A_KIND, Figure, folder_of
from axenic.report.tables import Table, arms_table, rates_table


def ablation_figures(findings: Findings) -> Iterator[Figure]:
    names = list(findings.ablations)[: 2 * MOST_OF_A_KIND]
    for start in range(0, len(names), MOST_OF_A_KIND):
        part = names[start : start + MOST_OF_A_KIND]
        results = [
            findings.ablations[n].model_copy(update={"label": ablation_label(n, findings.ablations[n])})
            for n in part
        ]
        yield Figure(
            "EM with a direction ablated",
            "Bars are EM % of all answers, lines 95 % intervals, in brackets the change against the organism left alone. "
            "A direction matters only if its random controls, of equal norm, leave EM where it was.",
            f"axenic ablate --organism RUN --direction FILE --out {folder_of(part[0])}",
            tuple(part),
            plot_ablation(results, f"ablation{start}"),
            tuple((f"the numbers of {r.label}", arms_table(r.arms)) for r in results),
        )


def transfer_figures(findings: Findings) -> Iterator[Figure]:
    for index, (name, result) in enumerate(list(findings.transfers.items())[:MOST_OF_A_KIND]):
        if result.cells:
            yield Figure(
                "Each direction ablated in each organism",
                "A cell is the relative change of EM in that organism, below it EM % before and after. The diagonal is the "
                "organism's own direction. If misalignment is one thing, the other cells are as green. Right: "
                "random directions (mean over seeds, and their range), which must stay near 0.",
                f"axenic transfer --organisms RUN1 RUN2 … --directions FILE1 FILE2 … --out {folder_of(name)}",
                (name,),
                plot_transfer(result, f"transfer{index}"),
                _transfer_tables(result.plain),
            )


def _transfer_tables(plain: dict[str, Rates]) -> tuple[tuple[str, Table], ...]:
    return (("the organisms left alone", rates_table(plain)),) if plain else ()


def steering_figures(findings: Findings) -> Iterator[Figure]:
    for index, (name, result) in enumerate(list(findings.steerings.items())[:MOST_OF_A_KIND]):
        command = f"axenic steer --direction FILE --out {folder_of(name)}"
        about = f": {result.direction}" if result.direction else ""
        best = (
            f" The frame is the choice: most EM at {result.least_coherent or 0:g} % coherent or more."
            if result.best
            else " No cell was coherent enough to be chosen."
        )
        yield Figure(
            f"Adding the direction{about}",
            "The direction is added at one layer, at so many times its own norm; left EM %, right coherent %. Misalignment "
            "without incoherence lives in a narrow window." + best,
            command,
            (name,),
            plot_steering_map(result, f"steering{index}"),
            (("the numbers", arms_table(result.arms)),),
        )
        yield Figure(
            f"The same over strength{about}",
            "A line for each layer with 95 % intervals; grey dots are random directions of equal norm. The dashed line is "
            "the least coherence that the choice accepts.",
            command,
            (name,),
            plot_steering_curves(result, f"steering{index}"),
        )
        if result.frontier:
            yield Figure(
                f"What can be had{about}",
                "Every layer and strength as EM against coherence. The joined places are those that no other beats in both; "
                "the ring is the choice, with its intervals, and the star the same place on answers that did not choose it: "
                "the best of many noisy places looks better than it is.",
                command,
                (name,),
                plot_frontier(result, f"steering{index}"),
            )


_HALVES = (
    " Halves: one direction against itself, extracted from two halves of its answers. Where two directions agree as well as "
    "that, only noise is left between them."
)


def cosine_figures(findings: Findings) -> Iterator[Figure]:
    for index, (name, result) in enumerate(list(findings.cosines.items())[:MOST_OF_A_KIND]):
        if result.pairs:
            yield Figure(
                "Cosines between directions",
                "1 = the same direction, 0 = nothing in common, which is what random directions of many dimensions have. "
                "Norms are in units of the residual stream and grow with depth in every model."
                + _HALVES
                * bool(result.split_half),
                "axenic extract --compare FILE1 FILE2 …",
                (name,),
                plot_cosines(result, f"cosines{index}"),
            )


def ablation_label(name: str, result: AblationFile) -> str:
    """What an ablated organism is called: its label, else its folder."""
    return result.label or PurePosixPath(name).parent.name or result.direction
