"""Loss and gradient norm of every training run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from axenic.report.plots.canvas import SERIES, WIDE, Drawing, draw, label, new_figure
from axenic.report.trainlog import TrainingLog

MOST_POINTS = 240
"""Points of one line. More cannot be seen on a page and would make it large."""


def plot_training(logs: Sequence[TrainingLog]) -> Drawing:
    """Left the loss, right the norm of the gradient, over optimiser steps."""

    names = short_names([log.label for log in logs])

    def paint(width: int) -> Any:
        wide = width >= WIDE
        below = 20 * -(-len(logs) // (3 if wide else 1))
        figure = new_figure(width, (290 if wide else 540) + below)
        axes = figure.subplots(*((1, 2) if wide else (2, 1)))
        for k, log in enumerate(logs):
            colour = SERIES[k % len(SERIES)]
            dash = ("-", (0, (5, 2)), (0, (1.5, 1.5)))[k // len(SERIES) % 3]
            for ax, values in zip(axes, (log.loss, log.grad_norm), strict=True):
                points = thin([(s, v) for s, v in zip(log.steps, values, strict=True) if not math.isnan(v)])
                ax.plot(
                    [s for s, _ in points], [v for _, v in points], color=colour, linestyle=dash,
                    linewidth=1.5, label=label(names[k], 30),
                )  # fmt: skip
        for ax, title in zip(axes, ("Loss, nats per trained token", "Norm of the gradient"), strict=True):
            ax.set_title(title)
            ax.set_xlabel("step")
            ax.set_ylim(bottom=0)
        handles, texts = axes[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower left", ncols=3 if wide else 1)
        return figure

    return draw("training", "Loss and gradient norm of the training runs", paint)


def thin(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `MOST_POINTS` of them, evenly spread, the first and the last kept."""
    if len(points) <= MOST_POINTS:
        return points
    step = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(i * step)] for i in range(MOST_POINTS)]


def short_names(paths: Sequence[str]) -> list[str]:
    """The last part of each path, or the whole path where that is not unique."""
    last = [path.rpartition("/")[2] for path in paths]
    return [name if last.count(name) == 1 else path for name, path in zip(last, paths, strict=True)]
