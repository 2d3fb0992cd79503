"""Adapter scalars of one prompt put into another: misaligned answers before and after."""

from __future__ import annotations

from typing import Any

from axenic.report.documents import Patched, PatchingFile
from axenic.report.plots.bands import gaps_across
from axenic.report.plots.canvas import (
    GREY,
    INK,
    MUTED,
    RED,
    WIDE,
    Drawing,
    draw,
    label,
    new_figure,
    percent_axis,
)


def plot_patching(found: PatchingFile, name: str) -> Drawing:
    """A row for each set of layers and direction: left the rates before and after, right the change with its interval."""
    rows = [row_name(item, found.domain) for item in found.patched]

    def paint(width: int) -> Any:
        wide = width >= WIDE
        high = (34 if wide else 44) * len(rows) + 70
        figure = new_figure(width, (high if wide else 2 * high) + (40 if wide else 70))
        left, right = figure.subplots(*((1, 2) if wide else (2, 1)))
        _rates(left, found.patched)
        gaps_across(right, [item.change for item in found.patched], INK, "patched − plain")
        right.set_title("Change, points")
        for ax, named in ((left, True), (right, not wide)):
            ax.set_yticks(
                range(len(rows)),
                [text if wide else text.replace(" → ", "\n→ ") for text in rows] if named else [],
            )
            ax.set_ylim(len(rows) - 0.45, -0.55)
            ax.grid(False, axis="y")
            ax.spines["left"].set_visible(False)
        handles, names = left.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower left", ncols=2 if wide else 1)
        return figure

    return draw(name, "Misaligned answers with and without another prompt's adapter scalars", paint)


def row_name(item: Patched, domain: str) -> str:
    """`layers → medical prompts`."""
    into = (label(domain, 18) or "domain") if item.into == "domain" else "other"
    return f"{label(item.name, 20)} → {into} prompts"


def _rates(ax: Any, patched: tuple[Patched, ...]) -> None:
    for colour, marker, shift, text, rates in (
        (GREY, "o", -0.13, "plain", [item.plain for item in patched]),
        (RED, "D", 0.13, "patched", [item.patched for item in patched]),
    ):
        for at, rate in enumerate(rates):
            if rate.low is not None and rate.high is not None:
                ax.plot([rate.low, rate.high], [at + shift] * 2, color=colour, linewidth=1.4, alpha=0.75)
        known = [(at, rate.percent) for at, rate in enumerate(rates) if rate.percent is not None]
        ax.plot(
            [percent for _, percent in known], [at + shift for at, _ in known], marker, color=colour, markersize=6,
            label=f"{text}: misaligned and coherent",
        )  # fmt: skip
    percent_axis(ax.xaxis, -2, 102)
    ax.tick_params(colors=MUTED, labelcolor=INK)
    ax.set_title("Share of all answers")
