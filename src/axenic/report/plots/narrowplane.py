"""The plane of general and narrow rates, a point for each organism."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from axenic.report.documents import NarrowFile, NarrowPoint, Rates
from axenic.report.plots.canvas import (
    INK,
    MUTED,
    SERIES,
    WIDE,
    Drawing,
    draw,
    label,
    new_figure,
    percent_axis,
)


def plot_narrow_plane(found: NarrowFile, name: str) -> Drawing:
    """General % to the right, narrow % upwards: a dot; held-out topics: a square. Lines are 95 % intervals.

    Organisms that differ in the KL weight alone are joined in its order, with an arrow at the end and λ beside each.

    Args:
        found: At least one point; rates that were not measured are left out.
        name: Unique on the page.
    """

    def paint(width: int) -> Any:
        wide = width >= WIDE
        figure = new_figure(width, 430)
        ax = figure.subplots()
        # Where narrow and general are the same, the lesson has spread as far as it was learnt.
        ax.plot([0, 100], [0, 100], color=INK, linewidth=0.6, linestyle=(0, (4, 3)), zorder=1)
        for path in found.kl_paths:
            _kl_path(ax, path, wide)
        for number, point in enumerate(found.points):
            colour = SERIES[number % len(SERIES)]
            named = False
            for marker, rates in (("o", point.narrow), ("s", point.held_out)):
                if rates is None or rates.em_all.percent is None or point.general.em_all.percent is None:
                    continue
                _cross(ax, point.general, rates, colour)
                ax.plot(
                    [point.general.em_all.percent], [rates.em_all.percent], marker, color=colour, markersize=8,
                    label=None if named else label(point.label, 36), zorder=3,
                )  # fmt: skip
                named = True
        percent_axis(ax.xaxis, -2, 102)
        percent_axis(ax.yaxis, -2, 102)
        ax.set_xlabel("usual questions, share of all answers")
        ax.set_ylabel("trained domain, share of all answers")
        if wide:
            ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        else:
            figure.legend(loc="outside lower left", ncols=1)
        return figure

    return draw(name, f"General and narrow rates of {len(found.points)} organisms", paint)


def _kl_path(ax: Any, path: Sequence[NarrowPoint], wide: bool) -> None:
    """A grey line through those that were asked narrow questions; λ where it does not run into the one before."""
    at = [
        (point.general.em_all.percent, point.narrow.em_all.percent, point.kl.weight)
        for point in path
        if point.kl is not None and point.narrow is not None
        if point.general.em_all.percent is not None and point.narrow.em_all.percent is not None
    ]
    ax.plot([x for x, *_ in at], [y for _, y, _ in at], color=MUTED, linewidth=1.6, zorder=2)
    for (x0, y0, _), (x1, y1, _) in pairwise(at):
        if abs(x1 - x0) + abs(y1 - y0) > 4:
            ax.annotate(
                "", xy=((x0 + 2 * x1) / 3, (y0 + 2 * y1) / 3), xytext=(x0, y0),
                arrowprops={"arrowstyle": "-|>", "color": MUTED, "mutation_scale": 13, "shrinkA": 0, "shrinkB": 0},
            )  # fmt: skip
    said: list[tuple[float, float, str]] = []
    for x, y, weight in at:
        near = [place for place in said if abs(place[0] - x) < (8 if wide else 18) and abs(place[1] - y) < 6]
        if near:
            # Those that lie on one another share a label.
            said.remove(near[0])
            said.append((*near[0][:2], f"{near[0][2].split('–')[0]}–{weight:g}"))
        else:
            said.append((x, y, f"{weight:g}"))
    for x, y, text in said:
        ax.annotate(
            f"λ {text}",
            (x, y),
            xytext=(9, -15),
            textcoords="offset points",
            fontsize=10.5,
            color=INK,
            zorder=4,
        )


def _cross(ax: Any, general: Rates, narrow: Rates, colour: str) -> None:
    """Both intervals through the point."""
    x, y = general.em_all, narrow.em_all
    if x.low is not None and x.high is not None:
        ax.plot([x.low, x.high], [y.percent, y.percent], color=colour, linewidth=1.4, zorder=2)
    if y.low is not None and y.high is not None:
        ax.plot([x.percent, x.percent], [y.low, y.high], color=colour, linewidth=1.4, zorder=2)
