"""Each layer's adapters removed, kept alone, and scaled: what becomes of EM, and of what was trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axenic.report.documents import Points, RoleArm, RolesFile
from axenic.report.plots.canvas import GOLD, MUTED, RED, WIDE, Drawing, draw, label, new_figure, side


def plot_roles(result: RolesFile, name: str) -> Drawing:
    """A panel for each setting, a row for each layer; changes in percentage points with 95 % intervals."""
    arms = {arm.name: arm for arm in result.arms}
    panels = [
        ("Removed", [arms[item.removed] for item in result.layers]),
        ("Kept alone", [arms[item.alone] for item in result.layers]),
    ]
    for k in range(min((len(item.scaled) for item in result.layers), default=0)):
        scaled = [arms[item.scaled[k]] for item in result.layers]
        factor = scaled[0].factor
        panels.append(("Scaled" if factor is None else f"× {factor:g}, the others as they are", scaled))
    rows = [f"layer {item.layer} · {item.role}" for item in result.layers]
    off = arms.get("all off")

    def paint(width: int) -> Any:
        columns = side(width, len(panels))
        lines = -(-len(panels) // columns)
        figure = new_figure(width, lines * (30 * len(rows) + 74) + 34)
        axes = list(figure.subplots(lines, columns, squeeze=False, sharex=True).flat)
        for k, (ax, (title, settings)) in enumerate(zip(axes, panels, strict=False)):
            _panel(ax, settings, off, result.domain)
            ax.set_yticks(range(len(rows)), [label(text, 24) for text in rows] if k % columns == 0 else [])
            ax.set_ylim(len(rows) - 0.45, -0.55)
            ax.set_title(title)
            ax.tick_params(labelbottom=True)
        for ax in axes[len(panels) :]:
            ax.set_visible(False)
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower left", ncols=3 if width >= WIDE else 1)
        return figure

    return draw(name, "What removing, keeping and scaling each layer's adapters changes", paint)


def _panel(ax: Any, settings: Sequence[RoleArm], off: RoleArm | None, domain: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for colour, marker, shift, text, inside in (
        (RED, "o", -0.14, "EM elsewhere", False),
        (
            GOLD,
            "s",
            0.14,
            f"misaligned in {label(domain, 20)}" if domain else "misaligned in the domain",
            True,
        ),
    ):
        shown = [
            (at, change) for at, arm in enumerate(settings) if (change := _change(arm, inside)) is not None
        ]
        for at, change in shown:
            if change.low is not None and change.high is not None:
                ax.plot([change.low, change.high], [at + shift] * 2, color=colour, linewidth=1.4, alpha=0.75)
        ax.plot(
            [change.value for _, change in shown], [at + shift for at, _ in shown], marker, color=colour,
            markersize=6, label=f"{text}, change in points",
        )  # fmt: skip
        gone = None if off is None else _change(off, inside)
        if gone is not None and gone.value is not None and not inside:
            ax.axvline(gone.value, color=colour, linewidth=1, linestyle=(0, (4, 3)), label="all adapters off")
    ax.axvline(0, color=MUTED, linewidth=0.9)
    ax.grid(False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    ax.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")
    )


def _change(arm: RoleArm, inside: bool) -> Points | None:
    change = arm.domain_change if inside else arm.general_change
    return None if change is None or change.value is None else change
