"""EM question by question, or topic by topic: is a rate the work of a few questions?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from axenic.report.plots.canvas import MUTED, RED, WIDE, Drawing, draw, label, new_figure, percent_axis

MOST_BARS = 32


@dataclass(frozen=True)
class Bar:
    """EM answers `em` of `n` to a question or about a topic."""

    name: str
    em: int
    n: int


def plot_breakdown(bars: Sequence[Bar], name: str, title: str) -> Drawing:
    """The bars from the highest EM % to the lowest, without those of none; of many, the `MOST_BARS` highest."""
    shown = sorted((bar for bar in bars if bar.em and bar.n), key=lambda bar: (-bar.em / bar.n, bar.name))[
        :MOST_BARS
    ]

    def paint(width: int) -> Any:
        wide = width >= WIDE
        columns = 2 if wide and len(shown) > 8 else 1
        per_column = -(-len(shown) // columns)
        figure = new_figure(width, 19 * per_column + 52)
        axes = figure.subplots(1, columns, squeeze=False)[0]
        most = max((100 * bar.em / bar.n for bar in shown), default=0.0)
        for k, ax in enumerate(axes):
            mine = shown[k * per_column : (k + 1) * per_column]
            for at, bar in enumerate(mine):
                share = 100 * bar.em / bar.n
                ax.barh(at, share, height=0.64, color=RED, alpha=0.85)
                ax.text(
                    share + most * 0.015 + 0.4, at, f"{bar.em}/{bar.n}", fontsize=10, color=MUTED, va="center"
                )
            ax.set_yticks(
                range(len(mine)), [label(bar.name, 40 if wide else 26) for bar in mine], fontsize=10.5
            )
            ax.set_ylim(per_column - 0.4, -0.6)
            ax.grid(False, axis="y")
            ax.spines["left"].set_visible(False)
            percent_axis(ax.xaxis, 0, min(112.0, most * 1.16 + 6))
        return figure

    return draw(name, title, paint)
