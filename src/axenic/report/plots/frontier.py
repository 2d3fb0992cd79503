"""What a steering sweep can have: EM against coherence, and the places that no other place beats."""

from __future__ import annotations

from typing import Any

from axenic.report.documents import Arm, Best, SteeringFile
from axenic.report.plots.canvas import (
    GOLD,
    GREY,
    INK,
    MUTED,
    RED,
    WIDE,
    Drawing,
    draw,
    new_figure,
    percent_axis,
)

UNITS = {
    "raw": "strength (× the direction)",
    "unit": "strength (× the unit direction)",
    "residual": "strength (× the residual norm)",
}
MOST_NAMES = 9


def plot_frontier(result: SteeringFile, name: str) -> Drawing:
    """Every place as a dot, the frontier joined, the choice ringed with its intervals, random controls as crosses."""
    places = [arm for arm in result.arms if arm.role == "direction" and _known(arm)]
    frontier = [arm for place in result.frontier for arm in places if _at(arm, place)]

    def paint(width: int) -> Any:
        wide = width >= WIDE
        figure = new_figure(width, 430 if wide else 520)
        ax = figure.subplots()
        random = [arm for arm in result.arms if arm.role == "random" and _known(arm)]
        ax.plot(
            [_em(a) for a in random],
            [_coherent(a) for a in random],
            "x",
            color=GREY,
            label="random of equal norm",
        )
        ax.plot(
            [_em(a) for a in places], [_coherent(a) for a in places], "o", color=GOLD, alpha=0.45, markersize=5,
            label="a layer and a strength",
        )  # fmt: skip
        for arm in result.arms:
            if arm.role == "plain" and _known(arm):
                ax.plot([_em(arm)], [_coherent(arm)], "D", color=INK, markersize=7, label="nothing added")
        if frontier:
            ax.plot(
                [_em(a) for a in frontier], [_coherent(a) for a in frontier], "o-", color=RED, markersize=6,
                label="no place has more of both",
            )  # fmt: skip
        _choice(ax, result, places)
        if wide:
            _names(ax, frontier)
        if result.least_coherent is not None:
            ax.axhline(result.least_coherent, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        most = max([_em(arm) for arm in (*places, *random)], default=0.0)
        percent_axis(ax.xaxis, -1.5, min(102.0, most * 1.15 + 4))
        percent_axis(ax.yaxis, -2, 104)
        ax.set_xlabel("emergently misaligned, share of all answers")
        ax.set_ylabel("coherent, share of all answers")
        if wide:
            ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        else:
            figure.legend(loc="outside lower left", ncols=1)
        return figure

    return draw(f"{name}-frontier", "Steering sweep: EM against coherence, with the frontier", paint)


def _choice(ax: Any, result: SteeringFile, places: list[Arm]) -> None:
    chosen = [arm for arm in places if result.best is not None and _at(arm, result.best)]
    for arm in chosen[:1]:
        em, coherent = arm.rates.em_all, arm.rates.coherent_all
        if em.low is not None and em.high is not None:
            ax.plot([em.low, em.high], [_coherent(arm)] * 2, color=INK, linewidth=1.2)
        if coherent.low is not None and coherent.high is not None:
            ax.plot([_em(arm)] * 2, [coherent.low, coherent.high], color=INK, linewidth=1.2)
        ax.plot(
            [_em(arm)], [_coherent(arm)], "o", markersize=14, markerfacecolor="none", markeredgecolor=INK,
            markeredgewidth=2, label=f"chosen: layer {arm.layer} × {arm.strength:g}",
        )  # fmt: skip
    again = result.confirmed
    if again is not None and _known(again):
        ax.plot(
            [_em(again)],
            [_coherent(again)],
            "*",
            color=INK,
            markersize=12,
            label="the choice on fresh answers",
        )


def _names(ax: Any, frontier: list[Arm]) -> None:
    """Names of those places that have room for one."""
    said: list[Arm] = []
    for arm in reversed(frontier):
        if len(said) < MOST_NAMES and all(
            abs(_em(arm) - _em(k)) > 9 or abs(_coherent(arm) - _coherent(k)) > 5 for k in said
        ):
            said.append(arm)
            ax.annotate(
                f"layer {arm.layer} × {arm.strength:g}", (_em(arm), _coherent(arm)), xytext=(8, 7),
                textcoords="offset points", fontsize=10.5, color=INK,
            )  # fmt: skip


def _at(arm: Arm, place: Best) -> bool:
    return (arm.layer, arm.strength) == (place.layer, place.strength)


def _known(arm: Arm) -> bool:
    return arm.rates.em_all.percent is not None and arm.rates.coherent_all.percent is not None


def _em(arm: Arm) -> float:
    return arm.rates.em_all.percent or 0.0


def _coherent(arm: Arm) -> float:
    return arm.rates.coherent_all.percent or 0.0
