"""One heat map with numbers in its cells; the other pictures are made of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axenic.report.plots.canvas import labels

# Colours of the text in a cell: fixed, because the cell's colour is the same by day and by night.
ON_LIGHT, ON_DARK = "#15181c", "#fafafa"
CHANGE = ("#1f7a80", "#9cc9c8", "#f4f2ec", "#e3a896", "#b03a26")
EM = ("#f6f3ee", "#eec4ae", "#d97f63", "#b9432c", "#7d2413")
COHERENT = ("#f5f4ee", "#c7dfdc", "#86bcba", "#3d9195", "#14595f")
COSINE = ("#3a6cb0", "#a9c2e2", "#f4f2ec", "#e6bf8e", "#a8620d")


def heat(
    ax: Any,
    values: Sequence[Sequence[float | None]],
    texts: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
    colours: Sequence[str],
    low: float,
    high: float,
    font: float = 11.0,
) -> None:
    """Draw cells into `ax`.

    Args:
        ax: A matplotlib axes.
        values: `[row][column]`; None leaves the cell empty.
        texts: What stands in each cell; may hold a line end.
        rows: Names from top to bottom.
        columns: Names from left to right.
        colours: From `low` to `high`; values outside get the end colours.
        low: Value of the first colour.
        high: Value of the last colour.
        font: Size of the text in the cells, pixels.
    """
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.patches import Rectangle

    colour_map = LinearSegmentedColormap.from_list("cells", list(colours))
    norm = Normalize(low, high, clip=True)
    for r, line in enumerate(values):
        for c, value in enumerate(line):
            if value is None:
                ax.text(c + 0.5, r + 0.5, "–", ha="center", va="center", fontsize=font)
                continue
            red, green, blue, _ = colour_map(norm(value))
            # One gap between the cells instead of lines: paper shows through by day and by night.
            ax.add_patch(
                Rectangle((c + 0.02, r + 0.02), 0.96, 0.96, facecolor=(red, green, blue), linewidth=0)
            )
            if texts[r][c]:
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
                ax.text(
                    c + 0.5, r + 0.5, texts[r][c], ha="center", va="center", fontsize=font,
                    color=ON_DARK if dark else ON_LIGHT, linespacing=1.25,
                )  # fmt: skip
    ax.set_xlim(0, max(len(columns), 1))
    ax.set_ylim(max(len(rows), 1), 0)
    ax.set_xticks([c + 0.5 for c in range(len(columns))], labels(columns, 16))
    ax.set_yticks([r + 0.5 for r in range(len(rows))], labels(rows, 24))
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
