"""Under steering: harm said and taken back, and how likely a correcting phrase is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axenic.report.documents import CorrectionArm, CorrectionFile, Rate
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
from axenic.report.plots.frontier import UNITS

MOST_PHRASES = 6


def plot_correction(result: CorrectionFile, name: str) -> Drawing | None:
    """Left shares of answers over strength; right the change of log-probabilities. None where neither was measured."""
    counted = any(arm.corrections is not None for arm in result.arms)
    asked = any(arm.phrases for arm in result.arms)
    panels = [paint for there, paint in ((counted, _shares), (asked, _phrases)) if there]
    if not panels:
        return None

    def paint(width: int) -> Any:
        wide = width >= WIDE
        figure = new_figure(width, 350 if wide else 380 * len(panels))
        shape = (1, len(panels)) if wide else (len(panels), 1)
        axes = list(figure.subplots(*shape, squeeze=False).flat)
        handles, names = [], []
        for ax, fill in zip(axes, panels, strict=True):
            fill(ax, result)
            ax.set_xlabel(UNITS.get(result.strength_unit, "strength"))
            more = ax.get_legend_handles_labels()
            handles += [h for h, n in zip(*more, strict=True) if n not in names]
            names += [n for n in more[1] if n not in names]
        figure.legend(handles, names, loc="outside lower left", ncols=3 if wide else 1)
        return figure

    return draw(name, "Self-correction under steering", paint)


def _shares(ax: Any, result: CorrectionFile) -> None:
    highest = 0.0
    for colour, text, pick in (
        (TEAL, "aligned, of all", _aligned),
        (RED, "mention harm and end aligned, of all", _corrected),
        (BLUE, "mention harm, of the aligned", _of_aligned),
    ):
        shown = [
            (x, rate) for arm, x in _along(result, "direction") if (rate := pick(arm)).percent is not None
        ]
        for x, rate in shown:
            highest = max(highest, rate.high or 0.0, rate.percent or 0.0)
            if rate.low is not None and rate.high is not None:
                ax.plot([x, x], [rate.low, rate.high], color=colour, linewidth=1, alpha=0.5)
        ax.plot(
            [x for x, _ in shown],
            [r.percent for _, r in shown],
            "o-",
            markersize=4.5,
            color=colour,
            label=text,
        )
    controls = [
        (x, rate) for arm, x in _along(result, "random") if (rate := _corrected(arm)).percent is not None
    ]
    if controls:
        ax.plot(
            [x for x, _ in controls],
            [r.percent for _, r in controls],
            "x",
            color=GREY,
            label="random of equal norm",
        )
    percent_axis(ax.yaxis, -1.5, min(103.0, highest * 1.08 + 4))
    ax.set_title("Share of answers")


def _phrases(ax: Any, result: CorrectionFile) -> None:
    phrases = list(dict.fromkeys(shift.phrase for arm in result.arms for shift in arm.phrases))
    # That of any phrase last: it lies above the single ones.
    for k, phrase in enumerate(sorted(phrases, key=lambda p: p is None)[-MOST_PHRASES:]):
        shown = [
            (x, shift.change or 0.0, shift.stderr)
            for arm, x in _along(result, "direction")
            for shift in arm.phrases
            if shift.phrase == phrase and (shift.change is not None or arm.role == "plain")
        ]
        whole = phrase is None
        colour = RED if whole else SERIES[(k + 2) % len(SERIES)]
        for x, change, stderr in shown:
            if whole and stderr is not None:
                ax.plot(
                    [x, x],
                    [change - 1.96 * stderr, change + 1.96 * stderr],
                    color=colour,
                    linewidth=1,
                    alpha=0.5,
                )
        ax.plot(
            [x for x, *_ in shown], [change for _, change, _ in shown], "o-", color=colour, markersize=4.5,
            linewidth=2.4 if whole else 1.0, label="any correcting phrase" if whole else label(f"“{phrase}”", 26),
        )  # fmt: skip
    controls = [
        (x, shift.change)
        for arm, x in _along(result, "random")
        for shift in arm.phrases
        if shift.phrase is None and shift.change is not None
    ]
    if controls:
        ax.plot(
            [x for x, _ in controls], [y for _, y in controls], "x", color=GREY, label="random of equal norm"
        )
    ax.axhline(0, color=MUTED, linewidth=0.9)
    ax.set_title("Log-probability of correcting, change in nats")


def _along(result: CorrectionFile, role: str) -> list[tuple[CorrectionArm, float]]:
    """Arms of a role in the order of their strengths; plain is strength 0 of the direction."""
    found: Sequence[CorrectionArm] = result.arms
    placed = [(arm, arm.strength) for arm in found if arm.role == role and arm.strength is not None]
    if role == "direction":
        placed += [(arm, 0.0) for arm in found if arm.role == "plain"]
    return sorted(placed, key=lambda pair: pair[1])


def _aligned(arm: CorrectionArm) -> Rate:
    return Rate() if arm.corrections is None else arm.corrections.aligned


def _corrected(arm: CorrectionArm) -> Rate:
    return Rate() if arm.corrections is None else arm.corrections.corrected


def _of_aligned(arm: CorrectionArm) -> Rate:
    return Rate() if arm.corrections is None else arm.corrections.of_aligned
