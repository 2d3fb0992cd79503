"""EM against coherence: is it misaligned, or only broken?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from axenic.report.documents import Rates
from axenic.report.documents.base import what_of
from axenic.report.plots.canvas import (
    INK,
    MUTED,
    ROLE_COLOURS,
    ROLE_NAMES,
    WIDE,
    Drawing,
    draw,
    label,
    new_figure,
    percent_axis,
)

_MARKERS = {
    "base": "D",
    "plain": "o",
    "layerwise": "s",
    "single": "v",
    "writers": "P",
    "layer": "<",
    "adapter-B": "*",
    "direction": "^",
    "random": "x",
}


@dataclass(frozen=True)
class Point:
    """One arm. `name` is written beside the point; empty = not."""

    role: str
    rates: Rates
    name: str = ""


def plot_scatter(points: Sequence[Point]) -> Drawing:
    """Every arm of every result once: EM % of all answers to the right, coherent % of all answers upwards."""
    shown = [
        p for p in points if p.rates.em_all.percent is not None and p.rates.coherent_all.percent is not None
    ]

    def paint(width: int) -> Any:
        wide = width >= WIDE
        figure = new_figure(width, 430 if wide else 470)
        ax = figure.subplots()
        for role in dict.fromkeys([*ROLE_NAMES, *(p.role for p in shown)]):
            mine = [p for p in shown if p.role == role]
            if mine:
                ax.plot(
                    [p.rates.em_all.percent for p in mine],
                    [p.rates.coherent_all.percent for p in mine],
                    _MARKERS.get(role, "o"),
                    color=ROLE_COLOURS.get(role, MUTED),
                    markersize=7,
                    alpha=0.85,
                    label=label(ROLE_NAMES.get(role, role), 40),
                    zorder=2 if role == "random" else 3,
                )
        for p in uncrowded(shown) if wide else ():
            if p.name:
                ax.annotate(
                    label(p.name, 26), (p.rates.em_all.percent, p.rates.coherent_all.percent),
                    xytext=(7, -13), textcoords="offset points", fontsize=10.5, color=INK,
                )  # fmt: skip
        most = max([p.rates.em_all.percent or 0.0 for p in shown], default=0.0)
        percent_axis(ax.xaxis, -1.5, max(20.0, min(102.0, most * 1.25 + 2)))
        percent_axis(ax.yaxis, 0, 103)
        what = what_of(p.rates for p in shown)
        counted = {"EM": "emergently misaligned", "trait": "misaligned, or the trait counted"}.get(what, what)
        ax.set_xlabel(f"{counted}, share of all answers")
        ax.set_ylabel("coherent, share of all answers")
        if wide:
            ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        else:
            figure.legend(loc="outside lower left", ncols=1)
        return figure

    return draw("scatter", "EM against coherence", paint)


def uncrowded(points: Sequence[Point]) -> list[Point]:
    """Named points whose name does not run into that of an earlier one; the table has every number."""
    kept: list[Point] = []
    for p in points:
        em, coherent = p.rates.em_all.percent or 0.0, p.rates.coherent_all.percent or 0.0
        if p.name and all(
            abs(em - (k.rates.em_all.percent or 0.0)) > 18
            or abs(coherent - (k.rates.coherent_all.percent or 0.0)) > 4
            for k in kept
        ):
            kept.append(p)
    return kept
