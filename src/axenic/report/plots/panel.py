"""Several judges of the same answers: how each uses its scale, and what that makes of the EM rate."""

from __future__ import annotations

from typing import Any

from axenic.report.documents import JudgeRates, MarkHistogram, PanelFile
from axenic.report.plots.canvas import (
    BLUE,
    GREY,
    MUTED,
    RED,
    SERIES,
    TEAL,
    WIDE,
    Drawing,
    draw,
    label,
    new_figure,
    percent_axis,
)

MAIN = ("alignment", "coherence")
"""Drawn; marks of topic judges are in the table."""


def plot_mark_histograms(result: PanelFile, name: str) -> Drawing:
    """A row for each judge, left alignment, right coherence: % of its answers in each bin of ten points."""
    judges = [judge for judge in result.judges if any(h.judge == judge for h in _main(result))]
    by_place = {(h.judge, h.metric): h for h in _main(result)}
    bounds = {"alignment": result.thresholds.alignment, "coherence": result.thresholds.coherence}

    def paint(width: int) -> Any:
        wide = width >= WIDE
        figure = new_figure(width, (122 if wide else 112) * len(judges) + 52)
        axes = figure.subplots(len(judges), 2, squeeze=False, sharex=True, sharey=True)
        for row, judge in enumerate(judges):
            for column, metric in enumerate(MAIN):
                ax = axes[row][column]
                found = by_place.get((judge, metric))
                if found is None:
                    ax.set_visible(False)
                    continue
                _bars(ax, found, bounds[metric])
                if row == 0:
                    ax.set_title(metric.capitalize(), pad=24)
                if column == 0:
                    ax.text(0, 1.05, label(judge, 40 if wide else 25), transform=ax.transAxes, fontsize=11)
        axes[0][0].set_xlim(-1, 101)
        percent_axis(axes[0][0].yaxis, 0, 104)
        axes[0][0].set_yticks([0, 50, 100])
        for ax in axes[-1]:
            ax.set_xticks([0, 30, 50, 100] if wide else [0, 50, 100])
        return figure

    return draw(f"{name}-marks", "How each judge uses its scale", paint)


def plot_em_over_thresholds(result: PanelFile, name: str) -> Drawing:
    """EM % of all answers over the alignment threshold, a line for each judge; bands: coherence > 30 to > 70."""
    rated = [rates for rates in result.rates if rates.n_all]

    def paint(width: int) -> Any:
        wide = width >= WIDE
        figure = new_figure(width, (300 if wide else 280) + 20 * -(-len(rated) // (3 if wide else 1)))
        ax = figure.subplots()
        top = 0.0
        for k, rates in enumerate(rated):
            colour = SERIES[k % len(SERIES)]
            at, low, middle, high = _curve(rates, result.thresholds.coherence)
            top = max([top, *high])
            ax.fill_between(at, low, high, color=colour, alpha=0.16, linewidth=0)
            ax.plot(at, middle, "o-", color=colour, markersize=4.5, label=label(rates.judge, 34))
        ax.axvline(result.thresholds.alignment, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        percent_axis(ax.yaxis, 0, min(102.0, top * 1.12 + 2))
        ax.set_title("EM of all answers")
        ax.set_xlabel("misaligned = alignment below")
        figure.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=3 if wide else 1)
        return figure

    return draw(f"{name}-em", "EM over the thresholds, by judge", paint)


def _main(result: PanelFile) -> list[MarkHistogram]:
    return [found for found in result.histograms if found.metric in MAIN]


def _bars(ax: Any, found: MarkHistogram, bound: float) -> None:
    """Bars of one judge and metric, those on the EM side of the threshold coloured, and its unscored answers."""
    n = found.scored + sum(found.unscored.values())
    for low, high, count in zip(found.bounds, found.bounds[1:], found.counts, strict=False):
        if found.metric == "alignment":
            colour = RED if high <= bound else BLUE
        else:
            colour = TEAL if low >= bound else GREY
        ax.bar((low + high) / 2, 100 * count / max(n, 1), width=0.86 * (high - low), color=colour, alpha=0.85)
    ax.axvline(bound, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    missing = n - found.scored
    if missing:
        # Left of the last bin, which is the tall one of most judges.
        ax.text(
            0.87, 0.94, f"{missing} unscored", transform=ax.transAxes, ha="right", va="top", fontsize=10, color=MUTED
        )  # fmt: skip
    ax.grid(False, axis="x")


def _curve(rates: JudgeRates, coherence: float) -> tuple[list[float], list[float], list[float], list[float]]:
    """Alignment thresholds; EM % there at its lowest, at the coherence threshold in use, and at its highest."""
    by_alignment: dict[float, dict[float, float]] = {}
    for point in rates.over_thresholds:
        by_alignment.setdefault(point.alignment, {})[point.coherence] = 100 * point.em / rates.n_all
    at = sorted(bound for bound, column in by_alignment.items() if coherence in column)
    columns = [by_alignment[bound] for bound in at]
    return (
        at,
        [min(column.values()) for column in columns],
        [column[coherence] for column in columns],
        [max(column.values()) for column in columns],
    )
