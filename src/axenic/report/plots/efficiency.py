"""Loss against norm: how low a loss a solution reaches for its length."""

from __future__ import annotations

from typing import Any

from axenic.report.documents import EfficiencyCurve, EfficiencyFile
from axenic.report.plots.bands import GENERAL, NARROW, Look, band, gaps, plain_ticks, two_panels
from axenic.report.plots.canvas import INK, MUTED, Drawing, draw, label


def plot_efficiency(found: EfficiencyFile, name: str) -> Drawing:
    """Left each solution times 0 to 2; right general minus narrow at equal norms, paired over texts.

    Args:
        found: Of one solution, the right panel is left out.
        name: Unique on the page.
    """

    def paint(width: int) -> Any:
        return two_panels(
            width, lambda ax: _curves(ax, found), (lambda ax: _equal(ax, found)) if found.equal else None
        )

    return draw(name, "Loss against effective norm", paint)


def _curves(ax: Any, found: EfficiencyFile) -> None:
    base = found.general.base_loss.value
    ax.axhline(base, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="base model")
    both: list[tuple[EfficiencyCurve, Look]] = [(found.general, GENERAL)]
    if found.narrow is not None:
        both.append((found.narrow, NARROW))
    for curve, look in both:
        band(
            ax,
            [point.norm for point in curve.points],
            [point.loss.value for point in curve.points],
            [point.loss for point in curve.points],
            look,
            label(curve.solution, 40),
        )
        ax.plot(
            [curve.best.norm], [curve.best.loss.value], "*", color=look[0], markersize=15, zorder=4,
            label="lowest" if look is GENERAL else None,
        )  # fmt: skip
        own = next((point for point in curve.points if point.factor == 1), None)
        if own is not None:
            ax.plot(
                [own.norm], [own.loss.value], look[2], color=look[0], markersize=10, zorder=4,
                markerfacecolor="none", markeredgewidth=2, label="as trained" if look is GENERAL else None,
            )  # fmt: skip
    # A solution stretched too far costs any loss whatever; what matters lies below the base model and a little above.
    lowest = min(curve.best.loss.low or curve.best.loss.value for curve, _ in both)
    highest = max((point.loss.high or point.loss.value) for curve, _ in both for point in curve.points)
    room = base - lowest
    top = min(highest, base + max(room, 0.1 * base))
    ax.set_ylim(lowest - 0.06 * (top - lowest), top + 0.04 * (top - lowest))
    ax.set_xlim(left=0)
    plain_ticks(ax.xaxis)
    plain_ticks(ax.yaxis)
    ax.set_xlabel("effective norm")
    ax.set_title("Loss, nats per token")


def _equal(ax: Any, found: EfficiencyFile) -> None:
    gaps(
        ax,
        [pair.percent or 0.0 for pair in found.equal],
        [pair.difference.value for pair in found.equal],
        [pair.difference for pair in found.equal],
        (INK, "-", "D"),
        "general − narrow (hollow: the interval holds 0)",
    )
    plain_ticks(ax.xaxis)
    plain_ticks(ax.yaxis)
    ax.set_xlabel("norm, percent of the mean of the two")
    ax.set_title("Difference: below 0, general is lower")
    ax.tick_params(colors=MUTED, labelcolor=INK)
