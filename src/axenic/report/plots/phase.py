"""A phase transition: what was learnt and what the model does, as small panels over one axis of steps; and the path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from axenic.report.documents import PhasesFile, PhaseVector, ScaledFile
from axenic.report.plots.canvas import (
    GREY,
    INK,
    MUTED,
    RED,
    SERIES,
    WIDE,
    Drawing,
    draw,
    label,
    new_figure,
    percent_axis,
)
from axenic.report.plots.training import thin

_PANEL, _AXIS = 118, 46
"""Height of a panel, and of what is below the last, in pixels."""

_FACTOR_COLOURS = ("#5a6b8c", "#3a6cb0", "#7a52a8", "#b7791f", "#4d7f35", "#a0457b")
"""No red: that is the turn's."""

_Paint = Callable[[Any], None]


def plot_phase_steps(phases: PhasesFile | None, scaled: ScaledFile | None, name: str) -> Drawing:
    """Norms, local cosine, comp score, gradient norm, loss, EM and coherence, each a panel where it was measured.

    Args:
        phases: The main vector is drawn, its turn marked in every panel.
        scaled: Behaviour by factor, the onset of each marked.
        name: Unique on the page.
    """
    panels: list[tuple[str, _Paint]] = []
    if phases is not None:
        panels += _learnt(phases)
    if scaled is not None and scaled.curves:
        panels += [
            ("EM, of all answers", lambda ax: _behaviour(ax, scaled, em=True)),
            ("Coherent, of all answers", lambda ax: _behaviour(ax, scaled, em=False)),
        ]
    turn = None if phases is None else phases.vectors[0].transition

    def paint(width: int) -> Any:
        wide = width >= WIDE
        figure = new_figure(width, (_PANEL if wide else _PANEL + 14) * len(panels) + _AXIS)
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for ax, (title, fill) in zip(axes, panels, strict=True):
            fill(ax)
            ax.set_title(title)
            if turn is not None and turn.step is not None:
                ax.axvspan(turn.low or turn.step, turn.high or turn.step, color=RED, alpha=0.12, linewidth=0)
                ax.axvline(turn.step, color=RED, linewidth=1.2)
            _legend(ax, wide)
        axes[-1].set_xlabel(
            "optimiser step" + ("" if turn is None or turn.step is None else "; red: the turn")
        )
        figure.align_ylabels(axes)
        return figure

    return draw(name, "What was learnt and what the model does, over the steps of training", paint)


def plot_phase_path(vector: PhaseVector, name: str) -> Drawing:
    """The path in its first two components, with some of its steps named and the turn in red."""
    points = [(point[0], point[1] if len(point) > 1 else 0.0) for point in vector.pca.points]
    steps, turn = vector.steps, vector.transition

    def paint(width: int) -> Any:
        from matplotlib.ticker import MaxNLocator

        wide = width >= WIDE
        figure = new_figure(width, 400 if wide else 330)
        ax = figure.subplots()
        ax.plot([x for x, _ in points], [y for _, y in points], color=GREY, linewidth=1, zorder=1)
        last = len(points) - 1
        marks = dict.fromkeys(round(share * last / 4) for share in range(5))
        # A dot for each step, but no more than can be told apart.
        shown = sorted({*marks, *(int(at) for at, _ in thin([(float(i), 0.0) for i in range(last + 1)]))})
        ax.plot([points[i][0] for i in shown], [points[i][1] for i in shown], ".", color=SERIES[0], zorder=2)
        if turn is not None and turn.step in steps:
            at = steps.index(turn.step)
            ax.plot(*points[at], "o", color=RED, markersize=9, zorder=3)
            marks.setdefault(at)
        for at in marks:
            ax.annotate(
                f"step {steps[at]}", points[at], xytext=(6, 6), textcoords="offset points", fontsize=10.5,
                color=RED if turn is not None and steps[at] == turn.step else INK,
            )  # fmt: skip
        shares = [f"{100 * share:.0f} %" for share in vector.pca.explained]
        ax.set_xlabel(f"first component ({shares[0]})")
        ax.set_ylabel(f"second component ({shares[1]})" if len(shares) > 1 else "second component")
        ax.margins(0.12)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(6 if wide else 4))
        return figure

    return draw(name, f"Path of {vector.name} in its first two components", paint)


def _learnt(phases: PhasesFile) -> list[tuple[str, _Paint]]:
    main = phases.vectors[0]
    norms = [(label(main.name, 30), main.steps, main.norms)]
    if main.name in phases.partner_norms:
        norms.append(("its A", main.steps, phases.partner_norms[main.name]))
    panels: list[tuple[str, _Paint]] = [("Norm", lambda ax: _lines(ax, norms, bottom=0))]
    cosines = [(f"k = {curve.window}", curve.steps, curve.values) for curve in main.cosines]
    if any(value is not None for _, _, values in cosines for value in values):
        panels.append(("Local cosine", lambda ax: _cosine(ax, cosines)))
    comp = [(label(name, 30), main.steps, values) for name, values in phases.comp.items()]
    if comp:
        panels.append(("Comp score", lambda ax: _lines(ax, comp, bottom=0)))
    if phases.gradient is not None:
        gradient = [("", phases.gradient.steps, phases.gradient.values)]
        panels.append(("Norm of the gradient", lambda ax: _lines(ax, gradient, bottom=0)))
    words = {"loss": "all", "loss_answer": "answer", "loss_tail": "extra header"}
    losses = [
        (words.get(name, label(name, 20)), curve.steps, curve.values)
        for name, curve in phases.losses.items()
        if name != "loss" or "loss_answer" not in phases.losses
    ]
    if losses:
        panels.append(("Loss, nats per token", lambda ax: _lines(ax, losses, bottom=0)))
    return panels


def _legend(ax: Any, wide: bool) -> None:
    """Above the panel beside its title, so that no line runs behind it; long names in a narrow picture inside."""
    names = ax.get_legend_handles_labels()[1]
    if len(names) < 2:
        return
    if not wide and sum(map(len, names)) > 44:
        ax.legend(loc="best", fontsize=8.5, handlelength=1.1, labelspacing=0.2)
        return
    ax.legend(
        loc="lower right", bbox_to_anchor=(1.0, 0.97), ncols=4 if wide else 2, borderaxespad=0, handlelength=1.1,
        columnspacing=0.9, fontsize=11 if wide else 9.5, labelspacing=0.2,
    )  # fmt: skip


_Curve = tuple[str, Sequence[int], Sequence[float | None]]


def _lines(ax: Any, curves: Sequence[_Curve], bottom: float | None = None) -> None:
    from matplotlib.ticker import MaxNLocator

    for k, (name, steps, values) in enumerate(curves):
        points = thin([(float(s), v) for s, v in zip(steps, values, strict=True) if v is not None])
        ax.plot([s for s, _ in points], [v for _, v in points], color=_colour(k), linewidth=1.4, label=name)
    ax.yaxis.set_major_locator(MaxNLocator(4))
    if bottom is not None:
        ax.set_ylim(bottom=bottom)


def _cosine(ax: Any, curves: Sequence[_Curve]) -> None:
    _lines(ax, curves)
    highest = max(value for _, _, values in curves for value in values if value is not None)
    # A straight path must look straight: the axis never zooms in on the last hundredth.
    top = max(-0.75, highest + 0.08)
    ax.set_ylim(-1 - 0.04 * (top + 1), top)
    if top > 0:
        ax.axhline(0, color=MUTED, linewidth=0.8)


def _behaviour(ax: Any, scaled: ScaledFile, *, em: bool) -> None:
    for k, curve in enumerate(scaled.curves):
        colour = _FACTOR_COLOURS[k % len(_FACTOR_COLOURS)]
        steps = [point.step for point in curve.points]
        rates = [point.em if em else point.coherent for point in curve.points]
        name = f"× {curve.factor:g}"
        ax.plot(steps, [rate.percent for rate in rates], ".", color=colour, markersize=4.5, alpha=0.7)
        for step, rate in zip(steps, rates, strict=True):
            if rate.low is not None and rate.high is not None and len(steps) <= 40:
                ax.plot([step, step], [rate.low, rate.high], color=colour, linewidth=0.8, alpha=0.3)
        line = curve.rolling if em else [rate.percent for rate in rates]
        ax.plot(steps, line, color=colour, linewidth=1.5, label=name)
        if em and curve.onset is not None and curve.onset.step in steps:
            at = curve.rolling[steps.index(curve.onset.step)]
            ax.plot(curve.onset.step, at, "^", color=colour, markersize=7.5)
    ends = [point.em.high or 0.0 for curve in scaled.curves for point in curve.points]
    top = min(100.0, max([10.0, *ends])) if em else 100.0
    percent_axis(ax.yaxis, -0.03 * top, 1.03 * top)


def _colour(k: int) -> str:
    return [colour for colour in SERIES if colour != RED][k % (len(SERIES) - 1)]
