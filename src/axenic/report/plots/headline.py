"""EM and coherence of every organism and what was done to it, as dots with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from axenic.report.documents import Rate, Rates
from axenic.report.documents.base import what_of
from axenic.report.plots.canvas import (
    MUTED,
    ROLE_COLOURS,
    WIDE,
    Drawing,
    draw,
    label,
    new_figure,
    percent_axis,
)


@dataclass(frozen=True)
class DotRow:
    """One row of the picture.

    Args:
        group: The organism; rows of one group stand together under its name.
        name: What was done to it.
        role: Key of `ROLE_COLOURS`.
        rates: One for each repeat: random controls have several, all else one.
    """

    group: str
    name: str
    role: str
    rates: tuple[Rates, ...]


def plot_headline(rows: Sequence[DotRow]) -> Drawing:
    """EM % (left) and coherent % (right) of all answers; bars are 95 % intervals clustered by question."""
    what = what_of(rates for row in rows for rates in row.rates)
    counted = {"EM": "Emergent misalignment", "trait": "Misaligned, or the trait named"}.get(what, what)
    groups = list(dict.fromkeys(row.group for row in rows))
    heights: list[tuple[float, DotRow]] = []
    headings: list[tuple[float, str]] = []
    y = 0.0
    for group in groups:
        members = [row for row in rows if row.group == group]
        if len(members) == 1 and members[0].name == group:
            heights.append((y, members[0]))
            y += 1.25
            continue
        headings.append((y, group))
        for row in members:
            y += 1
            heights.append((y, row))
        y += 1.25

    def paint(width: int) -> Any:
        wide = width >= WIDE
        panel = 26 * y + 62
        figure = new_figure(width, panel if wide else 2 * panel)
        axes = figure.subplots(1, 2, sharey=True) if wide else figure.subplots(2, 1)
        for ax, title, pick in zip(axes, (counted, "Coherent answers"), _PICKS, strict=True):
            ticks: list[float] = []
            names: list[str] = []
            strong: set[int] = set()
            for at, group in headings:
                strong.add(len(ticks))
                ticks.append(at)
                names.append(label(group, 30 if wide else 22))
            for at, row in heights:
                ticks.append(at)
                names.append(label(row.name, 32 if wide else 22))
                _dots(ax, at, row, pick)
            ax.set_yticks(ticks, names)
            for index, text in enumerate(ax.get_yticklabels()):
                text.set_fontweight("bold" if index in strong else "normal")
            ax.set_ylim(y - 0.5, -0.75)
            ax.grid(False, axis="y")
            ax.spines["left"].set_visible(False)
            percent_axis(ax.xaxis, -2, 102)
            ax.set_title(title)
        return figure

    return draw("headline", "EM and coherence of every organism", paint)


def _em(rates: Rates) -> Rate:
    return rates.em_all


def _coherent(rates: Rates) -> Rate:
    return rates.coherent_all


_PICKS = (_em, _coherent)


def _dots(ax: Any, at: float, row: DotRow, pick: Any) -> None:
    """One dot with its interval for each repeat, repeats a little apart, and the mean in figures."""
    colour = ROLE_COLOURS.get(row.role, MUTED)
    shown = [rate for rate in map(pick, row.rates) if rate.percent is not None]
    for index, rate in enumerate(shown):
        offset = at + (index - (len(shown) - 1) / 2) * 0.22
        if rate.low is not None and rate.high is not None:
            ax.plot(
                [rate.low, rate.high],
                [offset, offset],
                color=colour,
                linewidth=2.2 if len(shown) == 1 else 1.2,
            )
        ax.plot([rate.percent], [offset], "o", color=colour, markersize=7 if len(shown) == 1 else 4.5)
    if shown:
        mean = sum(rate.percent for rate in shown) / len(shown)
        edge = max(rate.high if rate.high is not None else rate.percent for rate in shown)
        left = edge > 82
        if left:
            edge = min(rate.low if rate.low is not None else rate.percent for rate in shown)
        if left and edge < 18:
            # The line fills the panel: no room beside it.
            ax.text(mean, at - 0.2, f"{mean:.1f}", color=MUTED, fontsize=11, va="bottom", ha="center")
            return
        ax.text(
            edge + (-2.2 if left else 2.2), at, f"{mean:.1f}", color=MUTED, fontsize=11, va="center",
            ha="right" if left else "left",
        )  # fmt: skip
