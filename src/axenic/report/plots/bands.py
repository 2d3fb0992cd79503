"""Lines with bands, and differences with bars: how a general and a narrow solution are drawn wherever they are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from axenic.report.plots.canvas import GREY, MUTED, RED, TEAL, WIDE, new_figure

GENERAL = (RED, "-", "o")
NARROW = (TEAL, "--", "s")
RANDOM = (GREY, ":", "^")
"""Colour, line and marker: without its colour each is still known by the other two."""

Look = tuple[str, str, str]


class Ranged(Protocol):
    """Something with the ends of an interval, which may not be known."""

    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def two_panels(
    width: int, left: Callable[[Any], None], right: Callable[[Any], None] | None, heading: int = 0
) -> Any:
    """A figure of one or two panels, side by side where there is room, and one legend below them for what both name."""
    wide, panels = width >= WIDE, 1 if right is None else 2
    figure = new_figure(width, (380 if wide else 340 * panels + 30) + heading)
    axes = list(figure.subplots(*((1, panels) if wide else (panels, 1)), squeeze=False).flat)
    left(axes[0])
    if right is not None:
        right(axes[1])
    named: dict[str, Any] = {}
    for ax in axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    figure.legend(list(named.values()), list(named), loc="outside lower left", ncols=3 if wide else 1)
    return figure


def band(
    ax: Any, xs: Sequence[float], values: Sequence[float], ends: Sequence[Ranged], look: Look, label: str
) -> None:
    """A line through the values, and a band between the ends of their intervals where all are known."""
    colour, line, marker = look
    known = [(end.low, end.high) for end in ends if end.low is not None and end.high is not None]
    if len(known) == len(xs) > 1:
        lows, highs = zip(*known, strict=True)
        ax.fill_between(xs, lows, highs, color=colour, alpha=0.16, linewidth=0)
    ax.plot(xs, values, color=colour, linestyle=line, marker=marker, markersize=4.5, label=label)


def gaps(
    ax: Any, xs: Sequence[float], values: Sequence[float], ends: Sequence[Ranged], look: Look, label: str
) -> None:
    """Differences with their intervals, about a line at nothing; hollow where the interval holds 0."""
    colour, _, marker = look
    ax.axhline(0, color=MUTED, linewidth=0.9)
    for x, end in zip(xs, ends, strict=True):
        if end.low is not None and end.high is not None:
            ax.plot([x, x], [end.low, end.high], color=colour, linewidth=1.6)
    for sure in (True, False):
        some = [(x, v) for x, v, end in zip(xs, values, ends, strict=True) if (clear(end) != 0) == sure]
        ax.plot(
            [x for x, _ in some], [v for _, v in some], marker, color=colour, markersize=6, zorder=3,
            markerfacecolor=colour if sure else "none",
            label=label if sure or all(clear(end) == 0 for end in ends) else None,
        )  # fmt: skip


def clear(end: Ranged) -> int:
    """1 where an interval lies above 0, -1 below, 0 where it holds 0 or is not known."""
    if end.low is None or end.high is None:
        return 0
    return 1 if end.low > 0 else -1 if end.high < 0 else 0


def plain_ticks(axis: Any, most: int = 6) -> None:
    """Few round numbers with a proper minus sign."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(most))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))


class Valued(Ranged, Protocol):
    """An interval with the value that it is about."""

    @property
    def value(self) -> float | None: ...


def gaps_across(ax: Any, changes: Sequence[Valued], colour: str, label: str) -> None:
    """Changes as rows, from 0 downwards, with their intervals; hollow where the interval holds 0."""
    ax.axvline(0, color=MUTED, linewidth=0.9)
    for at, change in enumerate(changes):
        if change.low is not None and change.high is not None:
            ax.plot([change.low, change.high], [at, at], color=colour, linewidth=1.6, alpha=0.8)
    unsure = [clear(change) == 0 for change in changes]
    for hollow in (False, True):
        some = [
            (at, change.value)
            for at, change in enumerate(changes)
            if change.value is not None and unsure[at] == hollow
        ]
        ax.plot(
            [value for _, value in some], [at for at, _ in some], "D", color=colour, markersize=6, zorder=3,
            markerfacecolor="none" if hollow else colour, label=label if hollow == all(unsure) else None,
        )  # fmt: skip
    plain_ticks(ax.xaxis, 5)
