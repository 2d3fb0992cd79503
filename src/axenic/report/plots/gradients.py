"""Where the loss pulls while a run is trained: towards which end, and how steeply."""

from __future__ import annotations

from typing import Any

from axenic.report.documents import GradientsFile
from axenic.report.plots.bands import GENERAL, NARROW, plain_ticks, two_panels
from axenic.report.plots.canvas import GREY, MUTED, SERIES, Drawing, draw, label

_LOOKS = {"general": GENERAL, "narrow": NARROW}


def plot_gradients(found: GradientsFile, name: str) -> Drawing:
    """Left the cosine of the descent direction with each end, the grey band random directions; right the slopes.

    Args:
        found: Steps where the gradient is zero have no cosine.
        name: Unique on the page.
    """

    def paint(width: int) -> Any:
        return two_panels(width, lambda ax: _cosines(ax, found), lambda ax: _slopes(ax, found))

    return draw(name, "The descent direction and the ends of the runs, step by step", paint)


def _cosines(ax: Any, found: GradientsFile) -> None:
    at = [point for point in found.points if point.random]
    if at:
        ax.fill_between(
            [p.step for p in at], [min(p.random) for p in at], [max(p.random) for p in at],
            color=GREY, alpha=0.35, linewidth=0, label="random directions, lowest to highest",
        )  # fmt: skip
    for number, target in enumerate(found.targets):
        shown = [(p.step, value) for p in found.points if (value := p.cosines[target]) is not None]
        _line(ax, shown, target, number)
    _axes(ax)
    ax.set_title("Cosine of the descent direction")


def _slopes(ax: Any, found: GradientsFile) -> None:
    for number, target in enumerate(found.targets):
        _line(ax, [(point.step, -point.slopes[target]) for point in found.points], target, number)
    _axes(ax)
    ax.set_title("Fall of the loss that way, nats per unit")


def _line(ax: Any, shown: list[tuple[int, float]], target: str, number: int) -> None:
    colour, style, marker = _LOOKS.get(target, (SERIES[number % len(SERIES)], "-.", "D"))
    ax.plot(
        [step for step, _ in shown], [value for _, value in shown], color=colour, linestyle=style, marker=marker,
        markersize=4.5, label=f"towards the {label(target, 30)} end",
    )  # fmt: skip


def _axes(ax: Any) -> None:
    ax.axhline(0, color=MUTED, linewidth=0.9)
    plain_ticks(ax.xaxis)
    plain_ticks(ax.yaxis)
    ax.set_xlabel("step")
