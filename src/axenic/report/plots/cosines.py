"""Do directions of different organisms agree? Cosines and norms at every layer."""

from __future__ import annotations

from typing import Any

from axenic.report.documents import CosinesFile
from axenic.report.plots.canvas import SERIES, WIDE, Drawing, draw, label, new_figure
from axenic.report.plots.heat import COSINE, heat


def plot_cosines(result: CosinesFile, name: str) -> Drawing:
    """Above: cosine between each pair of directions at each layer. Below: the norm of each direction."""
    names = [f"{label(pair.a, 16)} · {label(pair.b, 16)}" for pair in result.pairs]

    def paint(width: int) -> Any:
        wide = width >= WIDE
        cells = max(len(result.layers), 1)
        # Numbers fit only where a cell is wide enough; fewer layer names stand below narrow cells.
        room = (width - (240 if wide else 40)) / cells
        shape = "{:.3f}" if room >= 52 else "{:.2f}" if room >= 34 else "" if room < 20 else "{:.1f}"
        above = 34 * len(names) + (60 if wide else 60 + 20 * len(names))
        figure = new_figure(width, above + 210)
        top, bottom = figure.subplots(2, 1, height_ratios=(above, 210))
        heat(
            top,
            [list(pair.cosines) for pair in result.pairs],
            [
                ["" if v is None or not shape else shape.format(v) for v in pair.cosines]
                for pair in result.pairs
            ],
            names if wide else [str(i + 1) for i in range(len(names))],
            [str(layer) if room >= 20 or i % 4 == 0 else "" for i, layer in enumerate(result.layers)],
            COSINE,
            -1,
            1,
            font=10.5 if room >= 34 else 9.0,
        )
        title = "Cosine at each layer"
        if not wide:
            title += "".join(f"\n{i + 1}  {text}" for i, text in enumerate(names))
        top.set_title(title)
        for k, (who, norms) in enumerate(result.norms.items()):
            bottom.plot(
                result.layers[: len(norms)], norms[: len(result.layers)], "o-", markersize=4,
                color=SERIES[k % len(SERIES)], label=label(who, 24),
            )  # fmt: skip
        bottom.set_title("Norm of each direction")
        bottom.set_xlabel("layer (output of the block, from 0)")
        bottom.set_ylim(bottom=0)
        if result.norms:
            bottom.legend(loc="upper left", ncols=3 if wide else 1)
        return figure

    return draw(name, "Cosines between directions at every layer", paint)
