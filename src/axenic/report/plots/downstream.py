"""Do an adapter and a direction come to the same, layer by layer?"""

from __future__ import annotations

from typing import Any

from axenic.report.documents import DownstreamFile, EffectCurve
from axenic.report.plots.canvas import (
    GOLD,
    GREY,
    INK,
    MUTED,
    RED,
    TEAL,
    WIDE,
    Drawing,
    draw,
    label,
    new_figure,
    percent_axis,
)

_COLOURS = {"aligned": TEAL, "misaligned": RED}


def plot_downstream(result: DownstreamFile, name: str) -> Drawing:
    """Left the cosine of the two effects over layers, random vectors as a grey band; right how long each effect is."""

    def paint(width: int) -> Any:
        wide = width >= WIDE
        figure = new_figure(width, 360 if wide else 760)
        left, right = figure.subplots(*((1, 2) if wide else (2, 1)))
        _cosines(left, result)
        _norms(right, result)
        for ax in (left, right):
            ax.set_xlabel("layer (output of the block, from 0)")
            if result.layer is not None:
                ax.axvline(result.layer, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
            ax.xaxis.get_major_locator().set_params(integer=True)
        handles, names = left.get_legend_handles_labels()
        more = right.get_legend_handles_labels()
        figure.legend(handles + more[0], names + more[1], loc="outside lower left", ncols=3 if wide else 1)
        return figure

    return draw(name, "Cosine between the adapter's effect and that of steering, layer by layer", paint)


def _cosines(ax: Any, result: DownstreamFile) -> None:
    low, high = _band(result.curves)
    layers = [layer for layer in low if layer in high]
    if layers:
        ax.fill_between(
            layers, [low[l] for l in layers], [high[l] for l in layers], color=GREY, alpha=0.35, linewidth=0,
            label="random vectors of equal norm",
        )  # fmt: skip
    for curve in result.curves:
        shown = [(at, value) for at, value in enumerate(curve.cosines) if value is not None]
        ax.plot(
            [at for at, _ in shown], [value for _, value in shown], "o-", markersize=4.5,
            color=_COLOURS.get(curve.texts, INK), label=label(f"{curve.texts} texts ({curve.n_answers})", 40),
        )  # fmt: skip
    if result.adapters:
        ax.plot(
            [item.layer for item in result.adapters], [item.alignment for item in result.adapters], "D",
            color=GOLD, markersize=6, label="the direction within one B",
        )  # fmt: skip
    ax.axhline(0, color=MUTED, linewidth=0.8)
    values = [value for curve in result.curves for value in curve.cosines if value is not None]
    floor = min([0.0, *values, *low.values()])
    ax.set_ylim(max(-1.05, floor - 0.08), 1.05)
    ax.set_title("Cosine of the two effects")


def _norms(ax: Any, result: DownstreamFile) -> None:
    highest = 0.0
    for curve in result.curves:
        colour = _COLOURS.get(curve.texts, INK)
        for norms, style, what in (
            (curve.adapter_norms, "-", "adapter"),
            (curve.steered_norms, ":", "steering"),
        ):
            if not curve.base_norms or not norms:
                continue
            shares = [100 * a / b if b else 0.0 for a, b in zip(norms, curve.base_norms, strict=True)]
            highest = max(highest, *shares)
            ax.plot(
                range(len(shares)), shares, style, color=colour, label=label(f"{what}, {curve.texts}", 40)
            )
    percent_axis(ax.yaxis, 0, max(5.0, highest * 1.1))
    ax.set_title("Length, share of the residual norm")


def _band(curves: tuple[EffectCurve, ...]) -> tuple[dict[int, float], dict[int, float]]:
    """Lowest and highest cosine of any random control at each layer, over all texts."""
    low: dict[int, float] = {}
    high: dict[int, float] = {}
    for curve in curves:
        for control in curve.random:
            for layer, value in enumerate(control.cosines):
                if value is not None:
                    low[layer] = min(low.get(layer, value), value)
                    high[layer] = max(high.get(layer, value), value)
    return low, high
