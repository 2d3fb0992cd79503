"""What random noise on a solution's parameters costs it."""

from __future__ import annotations

from typing import Any

from axenic.report.documents import NoiseFile
from axenic.report.plots.bands import GENERAL, NARROW, band, gaps, plain_ticks, two_panels
from axenic.report.plots.canvas import INK, MUTED, Drawing, draw, label


def plot_noise(found: NoiseFile, name: str) -> Drawing:
    """Left the share of the benefit that is lost; right narrow minus general, paired by draw.

    Args:
        found: Of one solution, the right panel is left out.
        name: Unique on the page.
    """

    def paint(width: int) -> Any:
        return two_panels(
            width, lambda ax: _curves(ax, found), (lambda ax: _gaps(ax, found)) if found.difference else None
        )

    return draw(name, "Benefit lost under noise", paint)


def _curves(ax: Any, found: NoiseFile) -> None:
    ax.axhline(100, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="all is lost: as the base model")
    ax.axhline(0, color=MUTED, linewidth=0.9)
    for curve, look in ((found.general, GENERAL), (found.narrow, NARROW)):
        if curve is not None:
            band(
                ax,
                [point.epsilon for point in curve.points],
                [point.percent for point in curve.points],
                curve.points,
                look,
                label(curve.solution, 40),
            )
    _axes(ax)
    ax.set_title("Benefit lost, percent")


def _gaps(ax: Any, found: NoiseFile) -> None:
    gaps(
        ax,
        [point.epsilon for point in found.difference],
        [point.percent for point in found.difference],
        found.difference,
        (INK, "-", "D"),
        "narrow − general (hollow: the interval holds 0)",
    )
    _axes(ax)
    ax.set_title("Difference: above 0, narrow loses more")


def _axes(ax: Any) -> None:
    plain_ticks(ax.xaxis)
    plain_ticks(ax.yaxis)
    ax.set_xlabel("share of noise ε in the parameters")
