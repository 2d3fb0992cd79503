"""The paper that pictures are drawn on: colours, sizes, labels, and the two widths of every picture.

Every picture is drawn twice: wide, and narrow for a telephone, since text in a scaled picture cannot be read.
Pictures are deterministic: no date, ids from a fixed salt, no global matplotlib state (`pyplot` is never used).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from axenic.report.plots.svg import clean_svg
from axenic.visible import one_line

WIDE = 960
NARROW = 372

INK, MUTED, GRID, PAPER = "#1b1f24", "#5f6770", "#dfe3e8", "#fdfdfc"
RED, TEAL, BLUE, GREY, GOLD, VIOLET = "#c0442e", "#1f7a80", "#3a6cb0", "#8d959e", "#b7791f", "#7a52a8"
OLIVE, PLUM = "#4d7f35", "#a0457b"
SERIES = (BLUE, RED, TEAL, GOLD, VIOLET, OLIVE, PLUM, "#5a6b8c", GREY)
"""Colours of the lines of one picture. `style.css` maps the named ones to their dark-mode twins by value."""

ROLE_COLOURS = {
    "plain": RED,
    "layerwise": TEAL,
    "single": BLUE,
    "writers": VIOLET,
    "layer": OLIVE,
    "adapter-B": PLUM,
    "direction": GOLD,
    "random": GREY,
    "base": INK,
}
ROLE_NAMES = {
    "base": "base model",
    "plain": "organism, nothing done",
    "layerwise": "own direction ablated, layer-wise",
    "single": "one direction ablated at all layers",
    "writers": "one direction ablated at all that writes",
    "layer": "one direction ablated at its layer only",
    "adapter-B": "one direction out of the adapter's B",
    "direction": "direction added",
    "random": "random control of equal norm",
}

_STYLE = {
    "svg.fonttype": "none",  # text stays text: small, searchable, set in the reader's own font
    "text.parse_math": False,  # a "$" in a label is a dollar sign
    "font.size": 12.0,
    "axes.titlesize": 12.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "figure.facecolor": "none",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 11.5,
    "lines.linewidth": 1.8,
}


@dataclass(frozen=True)
class Drawing:
    """One picture in two widths, ready to stand in a page."""

    wide: Markup
    narrow: Markup


def draw(name: str, title: str, paint: Callable[[int], Any]) -> Drawing:
    """Both widths of a picture.

    Args:
        name: Unique on the page; letters, digits and dashes. Prefix of the SVG's ids and salt of its hashes.
        title: Read out by a screen reader; what is invisible in it is spelt out.
        paint: Given the width in pixels, returns a matplotlib `Figure`.
    """
    title = one_line(title, 200)
    return Drawing(_render(f"{name}-w", title, paint, WIDE), _render(f"{name}-n", title, paint, NARROW))


def new_figure(width: int, height: float) -> Any:
    """An empty matplotlib `Figure` of so many CSS pixels. Only inside `draw`'s `paint`."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # 72 points to the inch: then one SVG unit is one CSS pixel, and font sizes are what they say.
    layout = ConstrainedLayoutEngine(h_pad=6 / 72, hspace=0.07, wspace=0.04)
    return Figure(figsize=(width / 72, height / 72), layout=layout)


def label(text: str, width: int = 34) -> str:
    """A label from outside, fit for a picture: one line, nothing invisible.

    Cut in the middle: runs of a sweep have names that differ at the end (`medical-all-adapter-seed2`).
    """
    whole = one_line(text, len(text) * 12)
    tail = width // 2
    return whole if len(whole) <= width else whole[: width - tail - 1].rstrip() + "…" + whole[-tail:].lstrip()


def labels(names: Sequence[str], width: int = 34) -> list[str]:
    """`label` for each."""
    return [label(name, width) for name in names]


def signed(change: float) -> str:
    """A change in percent: `−92 %`, `+3 %`, and plain `0 %` for what rounds to nothing."""
    return f"{change:+.0f} %".replace("-", "−") if round(change) else "0 %"


def side(width: int, wanted: int) -> int:
    """How many panels stand side by side: all wanted in a wide picture (at most 3), one in a narrow one."""
    return min(wanted, 3) if width >= WIDE else 1


def percent_axis(axis: Any, low: float = 0.0, high: float = 100.0) -> None:
    """Percent labels on a matplotlib axis (`axes.xaxis` or `axes.yaxis`)."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    if axis.axis_name == "x":
        axis.axes.set_xlim(low, high)
    else:
        axis.axes.set_ylim(low, high)


def _render(name: str, title: str, paint: Callable[[int], Any], width: int) -> Markup:
    import matplotlib

    buffer = io.BytesIO()
    # "svg.id" would be written; the ids are prefixed by clean_svg anyway.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # The reader's own fonts set the text; what matplotlib's font lacks only makes its measure a guess.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        paint(width).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return clean_svg(buffer.getvalue(), name, title)
