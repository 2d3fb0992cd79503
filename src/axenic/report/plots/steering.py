"""A steering sweep: EM and coherence over layers and strengths."""

from __future__ import annotations

from typing import Any

from axenic.report.documents import Arm, Rate, SteeringFile
from axenic.report.plots.canvas import (
    GREY,
    INK,
    MUTED,
    SERIES,
    WIDE,
    Drawing,
    draw,
    new_figure,
    percent_axis,
)
from axenic.report.plots.frontier import UNITS
from axenic.report.plots.heat import COHERENT, EM, heat

_TITLES = ("Emergent misalignment", "Coherent answers")


def plot_steering_map(result: SteeringFile, name: str) -> Drawing:
    """Layers down, strengths across; left EM % of all answers, right coherent %. The chosen cell is framed."""
    arms = _swept(result)
    layers = sorted({arm.layer for arm in arms if arm.layer is not None})
    strengths = sorted({arm.strength for arm in arms if arm.strength is not None})
    by_place = {(arm.layer, arm.strength): arm for arm in arms}

    def paint(width: int) -> Any:
        from matplotlib.patches import Rectangle

        wide = width >= WIDE
        panel = 34 * len(layers) + 90
        figure = new_figure(width, panel if wide else 2 * panel)
        axes = figure.subplots(*((1, 2) if wide else (2, 1)))
        for index, (ax, title, colours) in enumerate(zip(axes, _TITLES, (EM, COHERENT), strict=True)):
            values = [
                [_rate(by_place[l, s], index).percent if (l, s) in by_place else None for s in strengths]
                for l in layers
            ]
            texts = [
                ["" if v is None or len(strengths) > 14 else f"{v:.0f}" for v in line] for line in values
            ]
            heat(
                ax,
                values,
                texts,
                [f"layer {l}" for l in layers],
                [f"{s:g}" for s in strengths],
                colours,
                0,
                100,
            )
            if result.best and result.best.layer in layers and result.best.strength in strengths:
                corner = (
                    strengths.index(result.best.strength) + 0.02,
                    layers.index(result.best.layer) + 0.02,
                )
                ax.add_patch(Rectangle(corner, 0.96, 0.96, fill=False, edgecolor=INK, linewidth=2.2))
            ax.set_title(f"{title}, %")
            ax.set_xlabel(UNITS.get(result.strength_unit, "strength"))
        return figure

    return draw(f"{name}-map", "Steering sweep: EM and coherence by layer and strength", paint)


def plot_steering_curves(result: SteeringFile, name: str) -> Drawing:
    """The same over strength, a line for each layer, with intervals; random controls in grey."""
    arms = _swept(result)
    layers = sorted({arm.layer for arm in arms if arm.layer is not None})
    controls = [arm for arm in result.arms if arm.role == "random" and arm.strength is not None]

    def paint(width: int) -> Any:
        wide = width >= WIDE
        figure = new_figure(width, 340 if wide else 640)
        axes = figure.subplots(*((1, 2) if wide else (2, 1)))
        for index, (ax, title) in enumerate(zip(axes, _TITLES, strict=True)):
            for layer in sorted({arm.layer for arm in controls if arm.layer is not None}):
                mine = sorted((a for a in controls if a.layer == layer), key=_strength)
                ax.plot(
                    [_strength(a) for a in mine], [_rate(a, index).percent for a in mine], ".", color=GREY
                )
            if controls:
                ax.plot([], [], ".", color=GREY, label="random controls")
            for k, layer in enumerate(layers):
                _line(ax, sorted((a for a in arms if a.layer == layer), key=_strength), index, k, layer)
            if index == 1 and result.least_coherent is not None:
                ax.axhline(result.least_coherent, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
            percent_axis(ax.yaxis, -2, 102)
            ax.set_title(title)
            ax.set_xlabel(UNITS.get(result.strength_unit, "strength"))
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower left", ncols=8 if wide else 3)
        return figure

    return draw(f"{name}-curves", "Steering sweep: EM and coherence over strength", paint)


def _swept(result: SteeringFile) -> list[Arm]:
    return [
        a for a in result.arms if a.role == "direction" and a.layer is not None and a.strength is not None
    ]


def _rate(arm: Arm, index: int) -> Rate:
    return arm.rates.coherent_all if index else arm.rates.em_all


def _strength(arm: Arm) -> float:
    return arm.strength or 0.0


def _line(ax: Any, arms: list[Arm], index: int, k: int, layer: int) -> None:
    shown = [(arm, _rate(arm, index)) for arm in arms if _rate(arm, index).percent is not None]
    colour = SERIES[k % len(SERIES)]
    x = [_strength(arm) for arm, _ in shown]
    ax.plot(
        x, [rate.percent for _, rate in shown], "o-", color=colour, markersize=4.5, label=f"layer {layer}"
    )
    for at, (_, rate) in zip(x, shown, strict=True):
        if rate.low is not None and rate.high is not None:
            ax.plot([at, at], [rate.low, rate.high], color=colour, linewidth=1, alpha=0.5)
