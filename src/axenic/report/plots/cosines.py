"""Do directions of different organisms agree? Cosines and norms at every layer."""

from __future__ import annotations

from typing import Any

from axenic.report.documents import CosinesFile
from axenic.report.plots.canvas import INK, SERIES, WIDE, Drawing, draw, label, new_figure
from axenic.report.plots.heat import COSINE, heat


def plot_cosines(result: CosinesFile, name: str) -> Drawing:
    """Above: cosine between each pair of directions at each layer, and of each with itself from other answers (halves).

    Below: the norm of each direction.
    """
    names = [f"{label(pair.a, 16)} · {label(pair.b, 16)}" for pair in result.pairs]
    rank = {who: k for k, who in enumerate(result.labels)}
    # A JSON file may hold its keys in another order than the labels.
    halves = [who for who in (result.labels or tuple(result.split_half)) if who in result.split_half]
    names += [f"halves of {label(who, 20)}" for who in halves]
    lines = [list(pair.cosines) for pair in result.pairs] + [list(result.split_half[who]) for who in halves]

    def paint(width: int) -> Any:
        wide = width >= WIDE
        cells = max(len(result.layers), 1)
        # Numbers fit only where a cell is wide enough; fewer layer names stand below narrow cells.
        room = (width - (240 if wide else 40)) / cells
        shape = "{:.3f}" if room >= 52 else "{:.2f}" if room >= 34 else "" if room < 20 else "{:.1f}"
        above = (34 if len(names) <= 12 else 22) * len(names) + (60 if wide else 60 + 20 * len(names))
        below = 210 if result.norms else 0
        figure = new_figure(width, above + below)
        panels = figure.subplots(
            2 if below else 1, 1, squeeze=False, height_ratios=(above, below) if below else None
        )
        top = panels[0, 0]
        heat(
            top,
            lines,
            [
                ["" if v is None or not shape else shape.format(v).replace("-", "−") for v in line]
                for line in lines
            ],
            names if wide else [str(i + 1) for i in range(len(names))],
            [str(layer) if room >= 20 or i % 4 == 0 else "" for i, layer in enumerate(result.layers)],
            COSINE,
            -1,
            1,
            font=10.5 if room >= 34 else 9.0,
        )
        if halves and result.pairs:
            # A rule between what is compared and what it is compared with.
            top.axhline(len(result.pairs), color=INK, linewidth=1.2)
        if wide:
            top.set_yticks([r + 0.5 for r in range(len(names))], names)
        title = "Cosine at each layer" if shape else "Cosine at each layer: orange 1, pale 0, blue −1"
        if not wide:
            title += "".join(f"\n{i + 1}  {text}" for i, text in enumerate(names))
        top.set_title(title)
        if below:
            _norms(panels[1, 0], result, rank, wide)
        return figure

    return draw(name, "Cosines between directions at every layer", paint)


def _norms(ax: Any, result: CosinesFile, rank: dict[str, int], wide: bool) -> None:
    """A line for each direction."""
    for k, who in enumerate(sorted(result.norms, key=lambda who: rank.get(who, len(rank)))):
        norms = result.norms[who]
        ax.plot(
            result.layers[: len(norms)], norms[: len(result.layers)], "o-", markersize=4,
            color=SERIES[k % len(SERIES)], label=label(who, 24),
        )  # fmt: skip
    ax.set_title("Norm of each direction")
    ax.set_xlabel("layer (output of the block, from 0)")
    ax.set_ylim(bottom=0)
    ax.legend(loc="upper left", ncols=3 if wide else 1)
