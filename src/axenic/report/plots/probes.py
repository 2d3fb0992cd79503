"""What the adapters' scalars know: probe scores under both splits, and which adapter speaks for which class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from axenic.report.documents import AdapterFact, AdaptersFile, ProbeTask
from axenic.report.plots.canvas import BLUE, GOLD, MUTED, WIDE, Drawing, draw, label, new_figure
from axenic.report.plots.heat import COSINE, heat

_SPLITS = (("token", GOLD, "o", -0.15), ("answer", BLUE, "s", 0.15))
_SCORES = (("accuracy", "Accuracy"), ("auc", "AUC"))


def plot_probes(result: AdaptersFile, name: str) -> Drawing:
    """Mean and standard deviation of each task's test score, split by token (as published) and by answer."""
    tasks = list(dict.fromkeys((task.first, task.second) for task in result.probes))

    def paint(width: int) -> Any:
        wide = width >= WIDE
        panel = 46 * len(tasks) + 64
        figure = new_figure(width, (panel if wide else 2 * panel) + 30)
        axes = list(figure.subplots(*((1, 2) if wide else (2, 1)), squeeze=False).flat)
        for k, (ax, (score, title)) in enumerate(zip(axes, _SCORES, strict=True)):
            _scores(ax, result.probes, tasks, score)
            names = [f"{label(first, 26)}\nvs {label(second, 26)}" for first, second in tasks]
            ax.set_yticks(range(len(tasks)), names if k == 0 or not wide else [])
            ax.set_ylim(len(tasks) - 0.5, -0.5)
            ax.set_title(title)
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower left", ncols=3 if wide else 1)
        return figure

    return draw(f"{name}-probes", "Probes on adapter scalars, split by token and by answer", paint)


def plot_coefficients(result: AdaptersFile, name: str) -> Drawing | None:
    """Mean coefficient of each adapter in each task, one panel for each split; None where no task has a probe."""
    splits = [split for split, *_ in _SPLITS if _fitted(result, split)]
    if not splits:
        return None
    most = (
        max(abs(c.mean) for split in splits for t in _fitted(result, split) for c in _coefficients(t)) or 1.0
    )

    def paint(width: int) -> Any:
        wide = width >= WIDE
        room = (width - (220 if wide else 40)) / max(1, len(result.adapters))
        every = 1 if room >= 20 else math.ceil(44 / room)
        heights = [40 * len(_fitted(result, split)) + (84 if wide else 110) for split in splits]
        keys = 0 if wide else max(len(_fitted(result, split)) for split in splits)
        figure = new_figure(width, sum(heights) + 18 * keys * len(splits))
        axes = figure.subplots(len(splits), 1, squeeze=False, height_ratios=heights)[:, 0]
        for ax, split in zip(axes, splits, strict=True):
            tasks = _fitted(result, split)
            named = [f"{label(t.first, 18)} vs {label(t.second, 18)}" for t in tasks]
            values = [[c.mean for c in _coefficients(t)] for t in tasks]
            heat(
                ax,
                values,
                [[f"{v:+.2f}".replace("-", "−") if room >= 46 else "" for v in line] for line in values],
                [text.replace(" vs ", "\nvs ") for text in named] if wide else [str(i + 1) for i in range(len(tasks))],
                [_adapter(a) if i % every == 0 else "" for i, a in enumerate(result.adapters)],
                COSINE, -most, most, font=10.5,
            )  # fmt: skip
            ax.set_yticks(
                [r + 0.5 for r in range(len(tasks))],
                [text.replace(" vs ", "\nvs ") for text in named]
                if wide
                else [str(i + 1) for i in range(len(tasks))],
            )
            title = f"Split by {split}"
            if not wide:
                title += "".join(f"\n{i + 1}  {text}" for i, text in enumerate(named))
            ax.set_title(title)
            ax.set_xlabel("adapter (layer; layer.component of higher rank)")
        return figure

    return draw(f"{name}-coefficients", "Probe coefficients by adapter", paint)


def _scores(ax: Any, probes: Sequence[ProbeTask], tasks: Sequence[tuple[str, str]], score: str) -> None:
    low = 0.45
    for split, colour, marker, shift in _SPLITS:
        shown = [
            (tasks.index((task.first, task.second)) + shift, task.probe.scores[score])
            for task in probes
            if task.split == split and task.probe is not None and score in task.probe.scores
        ]
        for at, found in shown:
            low = min(low, found.mean - found.sd - 0.02)
            ax.plot([found.mean - found.sd, found.mean + found.sd], [at, at], color=colour, linewidth=2)
            ax.text(
                found.mean + found.sd + 0.012, at, f"{found.mean:.2f}", fontsize=10, color=MUTED, va="center"
            )
        ax.plot(
            [found.mean for _, found in shown], [at for at, _ in shown], marker, color=colour, markersize=6,
            label=f"split by {split}" + (" (as published)" if split == "token" else ""),
        )  # fmt: skip
    for at, task in enumerate(tasks):
        if all(probe.probe is None for probe in probes if (probe.first, probe.second) == task):
            ax.text(0.51, at, "too few answers", fontsize=10.5, color=MUTED, va="center")
    ax.axvline(0.5, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="chance")
    ax.set_xlim(max(0.0, low), 1.06)
    ax.set_xticks([tick for tick in (0.0, 0.25, 0.5, 0.75, 1.0) if tick >= low])
    ax.grid(False, axis="y")
    ax.spines["left"].set_visible(False)


def _fitted(result: AdaptersFile, split: str) -> list[ProbeTask]:
    return [task for task in result.probes if task.split == split and _coefficients(task)]


def _coefficients(task: ProbeTask) -> Sequence[Any]:
    return () if task.probe is None else task.probe.coefficients


def _adapter(fact: AdapterFact) -> str:
    return f"{fact.layer}.{fact.component}" if fact.component else str(fact.layer)
