"""How much a solution of some norm moves what the base model says about ordinary text."""

from __future__ import annotations

from typing import Any

from axenic.report.documents import SignificanceFile
from axenic.report.plots.bands import GENERAL, NARROW, RANDOM, band, gaps, plain_ticks, two_panels
from axenic.report.plots.canvas import GREY, INK, Drawing, draw, label


def plot_significance(found: SignificanceFile, name: str) -> Drawing:
    """Left KL over norms, thin lines for single random solutions; right general minus the others, paired over texts.

    Args:
        found: The right panel is left out where the first solution has nothing beside it.
        name: Unique on the page.
    """

    def paint(width: int) -> Any:
        beside = bool(found.difference or found.above_random)
        return two_panels(
            width, lambda ax: _curves(ax, found), (lambda ax: _gaps(ax, found)) if beside else None
        )

    return draw(name, "KL from the base model on ordinary text", paint)


def _curves(ax: Any, found: SignificanceFile) -> None:
    for one in found.random:
        ax.plot(
            [p.norm for p in one.points],
            [p.kl.value for p in one.points],
            color=GREY,
            linewidth=0.8,
            alpha=0.6,
        )
    for curve, look in (
        (found.random_mean, RANDOM), (found.narrow, NARROW), (found.general, GENERAL),
    ):  # fmt: skip
        if curve is None:
            continue
        text = f"mean of {len(found.random)} random ones" if look is RANDOM else label(curve.name, 40)
        band(
            ax, [p.norm for p in curve.points], [p.kl.value for p in curve.points],
            [p.kl for p in curve.points], look, text,
        )  # fmt: skip
        if curve.own is not None:
            ax.plot(
                [curve.own.norm], [curve.own.kl.value], look[2], color=look[0], markersize=10, zorder=4,
                markerfacecolor="none", markeredgewidth=2, label="as trained" if look is GENERAL else None,
            )  # fmt: skip
    ax.set_xlim(left=0)
    ax.set_ylim(bottom=0)
    plain_ticks(ax.xaxis)
    plain_ticks(ax.yaxis)
    ax.set_xlabel("effective norm")
    ax.set_title("KL from the base model, nats per token")


def _gaps(ax: Any, found: SignificanceFile) -> None:
    # A little apart, or the bars of one norm would hide one another.
    apart = 0.012 * max(point.norm for point in found.general.points)
    for points, look, text, shift in (
        (found.difference, (INK, "-", "D"), "general − narrow", -apart),
        (found.above_random, RANDOM, "general − random", apart),
    ):
        if points:
            xs = [p.norm + shift for p in points]
            gaps(ax, xs, [p.kl.value for p in points], [p.kl for p in points], look, text)
    ax.set_xlim(left=0)
    plain_ticks(ax.xaxis)
    plain_ticks(ax.yaxis)
    ax.set_xlabel("effective norm")
    ax.set_title("Difference: above 0, general moves it more")
