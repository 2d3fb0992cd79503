"""What each layer's adapters are for, over organisms that differ in nothing but the seed of their training."""

from __future__ import annotations

from typing import Any

from axenic.report.documents import SeedPoints, SeedRolesFile
from axenic.report.plots.bands import gaps_across
from axenic.report.plots.canvas import GOLD, MUTED, RED, WIDE, Drawing, draw, label, new_figure


def plot_seed_roles(found: SeedRolesFile, name: str) -> Drawing:
    """A row for each layer, a panel for what is lost elsewhere and one for the domain; small crosses are organisms."""
    rows = [f"layer {item.layer} · {label(item.role, 14)}" for item in found.layers]
    inside = label(found.domain, 18) or "the domain"
    panels = (
        ("EM elsewhere", RED, [item.general_change for item in found.layers], found.all_off_general),
        (
            f"Misaligned in {inside}",
            GOLD,
            [item.domain_change for item in found.layers],
            found.all_off_domain,
        ),
    )

    def paint(width: int) -> Any:
        wide = width >= WIDE
        high = 30 * len(rows) + 100
        figure = new_figure(width, (high if wide else 2 * high) + (30 if wide else 60))
        axes = list(figure.subplots(*((1, 2) if wide else (2, 1)), squeeze=False).flat)
        for number, (ax, (title, colour, changes, off)) in enumerate(zip(axes, panels, strict=True)):
            _panel(ax, changes, off, colour)
            ax.set_yticks(range(len(rows)), rows if number == 0 or not wide else [])
            ax.set_ylim(len(rows) - 0.45, -0.55)
            ax.set_title(title)
            ax.set_xlabel("change when removed, points")
            ax.grid(False, axis="y")
            ax.spines["left"].set_visible(False)
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower left", ncols=3 if wide else 1)
        return figure

    return draw(name, "Roles of each layer's adapters over training seeds", paint)


def _panel(ax: Any, changes: list[SeedPoints], off: SeedPoints | None, colour: str) -> None:
    ax.plot(
        [value for change in changes for value in change.values],
        [at + 0.24 for at, change in enumerate(changes) for _ in change.values],
        "x", color=MUTED, markersize=5, label="single organisms",
    )  # fmt: skip
    gaps_across(ax, changes, colour, "mean over organisms (hollow: the interval holds 0)")
    if off is not None:
        ax.axvline(off.value, color=colour, linewidth=1, linestyle=(0, (4, 3)), label="all adapters off")
