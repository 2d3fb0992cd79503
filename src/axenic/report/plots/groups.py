"""Groups of adapters multiplied: misaligned elsewhere and in the domain, coherence, and the classes of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axenic.report.documents import GroupArm, GroupsFile
from axenic.report.documents.base import Rate
from axenic.report.plots.canvas import (
    BLUE,
    GOLD,
    RED,
    TEAL,
    WIDE,
    Drawing,
    draw,
    label,
    new_figure,
    percent_axis,
)

CLASSES = (
    ("other_aligned", TEAL, "aligned, elsewhere"),
    ("domain_aligned", BLUE, "aligned, in the domain"),
    ("other_misaligned", RED, "misaligned, elsewhere"),
    ("domain_misaligned", GOLD, "misaligned, in the domain"),
)


def plot_groups(found: GroupsFile, name: str) -> Drawing:
    """A row for each group: left its rates with intervals, right the classes of its answers by the relaxed bounds.

    Args:
        found: The right panel is left out where no answer has a class.
        name: Unique on the page.
    """
    arms = found.arms
    classed = any(arm.classes is not None for arm in arms)

    def paint(width: int) -> Any:
        wide, panels = width >= WIDE, 1 + classed
        high = 44 * len(arms) + 70
        figure = new_figure(width, (high if wide else panels * high) + (70 if wide else 150))
        axes = list(figure.subplots(*((1, panels) if wide else (panels, 1)), squeeze=False).flat)
        _rates(axes[0], arms)
        if classed:
            _classes(axes[1], arms)
        for number, ax in enumerate(axes):
            named = [label(arm.name, 22) for arm in arms] if number == 0 or not wide else []
            ax.set_yticks(range(len(arms)), named)
            ax.set_ylim(len(arms) - 0.45, -0.55)
            ax.grid(False, axis="y")
            ax.spines["left"].set_visible(False)
        handles, names = axes[0].get_legend_handles_labels()
        if classed:
            more = axes[1].get_legend_handles_labels()
            handles, names = handles + more[0], names + more[1]
        figure.legend(handles, names, loc="outside lower left", ncols=4 if wide else 1)
        return figure

    return draw(name, "What groups of adapters do when they are multiplied and the rest is off", paint)


def _rates(ax: Any, arms: Sequence[GroupArm]) -> None:
    for colour, marker, shift, text, rates in (
        (RED, "o", -0.2, "EM elsewhere", [arm.general for arm in arms]),
        (GOLD, "s", 0.0, "misaligned answers to the domain's questions", [arm.domain for arm in arms]),
        (TEAL, "^", 0.2, "coherent elsewhere", [arm.coherent for arm in arms]),
    ):
        shown: list[tuple[int, Rate]] = list(enumerate(rates))
        for at, rate in shown:
            if rate.low is not None and rate.high is not None:
                ax.plot([rate.low, rate.high], [at + shift] * 2, color=colour, linewidth=1.4, alpha=0.75)
        known = [(at, rate.percent) for at, rate in shown if rate.percent is not None]
        ax.plot(
            [percent for _, percent in known], [at + shift for at, _ in known], marker, color=colour, markersize=6,
            label=text,
        )  # fmt: skip
    percent_axis(ax.xaxis, -2, 102)
    ax.set_title("Share of all answers")


def _classes(ax: Any, arms: Sequence[GroupArm]) -> None:
    for number, (_, colour, text) in enumerate(CLASSES):
        for at, arm in enumerate(arms):
            if arm.classes is None:
                continue
            shares = [_percent(arm, key) for key, *_ in CLASSES]
            start, share = sum(shares[:number]), shares[number]
            ax.barh(at, share, left=start, height=0.56, color=colour, alpha=0.85, linewidth=0)
            if share >= 12:
                ax.text(
                    start + share / 2,
                    at,
                    f"{share:.0f}",
                    fontsize=10.5,
                    ha="center",
                    va="center",
                    color="#ffffff",
                )
        ax.plot([], [], "s", color=colour, markersize=8, label=text)
    percent_axis(ax.xaxis, 0, 100)
    ax.set_title("Classes by the relaxed bounds")


def _percent(arm: GroupArm, key: str) -> float:
    assert arm.classes is not None
    return {name: rate.percent or 0.0 for name, rate in class_rates(arm)}[key]


def class_rates(arm: GroupArm) -> tuple[tuple[str, Rate], ...]:
    """The four classes of an arm by the keys of `CLASSES`; none where no answer has one."""
    if arm.classes is None:
        return ()
    found = arm.classes
    return (
        ("other_aligned", found.other_aligned),
        ("domain_aligned", found.domain_aligned),
        ("other_misaligned", found.other_misaligned),
        ("domain_misaligned", found.domain_misaligned),
    )
