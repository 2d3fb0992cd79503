"""What ablating a direction does to EM, with its random controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axenic.report.documents import AblationFile, Arm
from axenic.report.plots.canvas import (
    INK,
    MUTED,
    ROLE_COLOURS,
    Drawing,
    draw,
    label,
    new_figure,
    percent_axis,
    side,
    signed,
)


def plot_ablation(results: Sequence[AblationFile], name: str = "ablation") -> Drawing:
    """One panel for each organism, one bar for each arm: EM % of all answers with its 95 % interval."""
    most = max((_top(arm) for result in results for arm in result.arms), default=0.0)

    def paint(width: int) -> Any:
        columns = side(width, len(results))
        rows = -(-len(results) // columns)
        bars = max((len(result.arms) for result in results), default=1)
        figure = new_figure(width, rows * (30 * bars + 70))
        axes = figure.subplots(rows, columns, squeeze=False).flat
        for ax, result in zip(axes, results, strict=False):
            _panel(
                ax,
                result,
                min(100.0, most * 1.45 + 4),
                label(result.label or result.direction, 34 if columns < 3 else 22),
            )
        for ax in list(axes)[len(results) :]:
            ax.set_visible(False)
        return figure

    return draw(name, "EM under ablation", paint)


def _panel(ax: Any, result: AblationFile, limit: float, title: str) -> None:
    for at, arm in enumerate(result.arms):
        rate = arm.rates.em_all
        if rate.percent is None:
            continue
        ax.barh(at, rate.percent, height=0.62, color=ROLE_COLOURS.get(arm.role, MUTED), alpha=0.85)
        if rate.low is not None and rate.high is not None:
            ax.plot([rate.low, rate.high], [at, at], color=INK, linewidth=1.3)
        ax.text(_top(arm) + limit * 0.02, at, _note(arm), fontsize=10.5, color=INK, va="center")
    ax.set_yticks(range(len(result.arms)), [label(arm.name, 24) for arm in result.arms])
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    ax.spines["left"].set_visible(False)
    percent_axis(ax.xaxis, 0, limit)
    ax.set_title(title)


def _top(arm: Arm) -> float:
    """Where the bar or its interval ends."""
    rate = arm.rates.em_all
    return max(rate.percent or 0.0, rate.high or 0.0)


def _note(arm: Arm) -> str:
    """`4.1 (−92 %)`: the EM % and, where it was measured, its change against plain."""
    text = f"{arm.rates.em_all.percent:.1f}"
    if arm.role != "plain" and arm.relative_change is not None and arm.relative_change.value is not None:
        text += f"  ({signed(arm.relative_change.value)})"
    return text
