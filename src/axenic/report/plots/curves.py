"""EM over a property of the training set: good rows mixed in, or how many different rows there are."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from axenic.report.documents import CurveFile, Rates
from axenic.report.plots.canvas import RED, TEAL, WIDE, Drawing, draw, new_figure, percent_axis

X_LABELS = {"mixing": "good rows for each bad one", "few": "different rows, repeated to the same number"}


def plot_curve(curve: CurveFile, name: str) -> Drawing:
    """Lines through the means over seeds, a dot for each seed, 95 % intervals of the mean's seeds left to the table."""
    xs = sorted({point.x for point in curve.points})

    def paint(width: int) -> Any:
        wide = width >= WIDE
        figure = new_figure(width, 330 if wide else 360)
        ax = figure.subplots()
        at = {x: i for i, x in enumerate(xs)}  # evenly: the steps are no straight scale
        for colour, marker, label, pick in (
            (RED, "o", "other domains (emergent)", _general),
            (TEAL, "s", f"{curve.domain} (trained)", _narrow),
        ):
            shown = [
                (at[p.x], pick(p).em_all.percent) for p in curve.points if pick(p).em_all.percent is not None
            ]
            ax.plot(
                [x for x, _ in shown], [y for _, y in shown], marker, color=colour, alpha=0.45, markersize=5
            )
            ax.plot(range(len(xs)), [_mean(shown, at[x]) for x in xs], color=colour, label=label)
        ax.set_xticks(range(len(xs)), [f"1:{x}" if curve.what == "mixing" else f"{x:,}" for x in xs])
        ax.set_xlabel(X_LABELS.get(curve.what, curve.what))
        percent_axis(ax.yaxis, 0, _top(curve))
        ax.set_title("Misaligned and coherent, share of all answers")
        figure.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=2 if wide else 1)
        return figure

    return draw(name, f"EM over {X_LABELS.get(curve.what, curve.what)}", paint)


def _general(point: Any) -> Rates:
    rates: Rates = point.general
    return rates


def _narrow(point: Any) -> Rates:
    rates: Rates = point.narrow
    return rates


def _mean(shown: Sequence[tuple[int, float | None]], at: int) -> float:
    return fmean(y for x, y in shown if x == at and y is not None)


def _top(curve: CurveFile) -> float:
    highest = max((rates.em_all.percent or 0.0) for p in curve.points for rates in (p.general, p.narrow))
    return min(100.0, max(10.0, 1.1 * highest))
