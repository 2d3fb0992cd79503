"""General against narrow: has a lesson spread, and was it learnt at all."""

from __future__ import annotations

from collections.abc import Iterator

from axenic.report.collect import Findings
from axenic.report.documents import NarrowFile
from axenic.report.plots.narrowplane import plot_narrow_plane
from axenic.report.section import MOST_OF_A_KIND, Figure, folder_of
from axenic.report.tables import Table, percent


def narrow_figures(findings: Findings) -> Iterator[Figure]:
    for index, (name, found) in enumerate(list(findings.narrows.items())[:MOST_OF_A_KIND]):
        yield Figure(
            _title(found),
            "To the right, the share of the answers to the usual questions that have the trait and are coherent; upwards, "
            "the share on held-out questions of the trained domain (squares: on topics that no training row is about). "
            "Narrow solutions are at the top left. Lines are 95 % intervals, clustered by question."
            + _joined(found)
            + _unchecked(found),
            f"axenic narrow RUN ... --out {folder_of(name)}",
            (name,),
            plot_narrow_plane(found, f"narrow{index}"),
            (("the numbers", narrow_table(found)),),
        )


def narrow_table(found: NarrowFile) -> Table:
    """One row for each organism; – where nothing was asked."""
    return Table(
        (
            "organism", "λ, nats per token", "general %", "narrow %", "held-out topics %", "coherent general %",
            "answers, general", "answers, narrow", "answers, held-out topics", "trained on",
        ),
        tuple(
            (
                point.label, "–" if point.kl is None else f"{point.kl.weight:g}", percent(point.general.em_all),
                *("–" if rates is None else percent(rates.em_all) for rates in (point.narrow, point.held_out)),
                percent(point.general.coherent_all),
                *("0" if rates is None else str(rates.n_all) for rates in (point.general, point.narrow, point.held_out)),
                ", ".join(point.domains) or "–",
            )
            for point in found.points
        ),
        frozenset(range(1, 9)),
    )  # fmt: skip


def _title(found: NarrowFile) -> str:
    """What the KL term does along the first path; without a path only what is drawn."""
    for path in found.kl_paths:
        ends = [
            (point.kl.weight, point.general.em_all.percent, point.narrow.em_all.percent)
            for point in (path[0], path[-1])
            if point.kl is not None and point.narrow is not None
        ]
        if len(ends) == 2 and None not in (*ends[0], *ends[1]):
            (low, *before), (high, *after) = ends
            told = [
                f"{what} from {a:.0f} to {b:.0f} %"
                for what, a, b in zip(("general", "narrow"), before, after, strict=True)
            ]
            return f"{found.trait}: with λ from {low:g} to {high:g}, {' and '.join(told)}"
    return f"{found.trait}: general and narrow"


def _joined(found: NarrowFile) -> str:
    if not found.kl_paths:
        return ""
    return (
        " Organisms whose training differs in the weight λ of the KL term alone are joined in the order of λ, which stands "
        "beside each."
    )


def _unchecked(found: NarrowFile) -> str:
    names = [point.label for point in found.points if not point.checked]
    if not names:
        return ""
    return f" Nobody could check whether the training rows of {', '.join(names)} ask the held-out questions."
