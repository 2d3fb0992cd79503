"""The transfer matrix: each direction ablated in each organism, and random directions beside it."""

from __future__ import annotations

from typing import Any

from axenic.report.documents import Cell, TransferFile
from axenic.report.plots.canvas import WIDE, Drawing, draw, new_figure, signed
from axenic.report.plots.heat import CHANGE, heat


def plot_transfer(result: TransferFile, name: str) -> Drawing:
    """Relative change of EM in percent; −100 means all EM is gone. Left the directions, right their controls."""
    rows, columns = list(result.directions), list(result.organisms)
    real = [[_cells(result, d, o, random=False) for o in columns] for d in rows]
    # Projecting out takes unit vectors, so one set of controls may serve all directions: then one row says it.
    shared = any(cell.role == "random" and cell.direction is None for cell in result.cells)
    control_rows = ["any direction"] if shared else rows
    controls = [
        [_cells(result, None if shared else d, o, random=True) for o in columns] for d in control_rows
    ]
    has_controls = any(cell for line in controls for cell in line)

    def paint(width: int) -> Any:
        panels = 2 if has_controls else 1
        wide = width >= WIDE
        panel = 62 * len(rows) + 96
        below = 62 * len(control_rows) + 96
        figure = new_figure(width, panel if wide else panel + (below if has_controls else 0))
        shape = {"ncols": panels} if wide else {"nrows": panels, "height_ratios": (panel, below)[:panels]}
        axes = figure.subplots(**shape, squeeze=False).flat
        for ax, title, lines, names in zip(
            axes, ("Direction ablated", "Random controls of equal norm"), (real, controls), (rows, control_rows),
            strict=False,
        ):  # fmt: skip
            heat(
                ax,
                [[_change(cells) for cells in line] for line in lines],
                [[_text(cells, result) for cells in line] for line in lines],
                names,
                columns,
                CHANGE,
                -100,
                100,
            )
            ax.set_ylim(max(len(rows), 1) if wide else max(len(names), 1), 0)
            ax.set_title(title)
            ax.set_xlabel("in the organism")
            if names is rows:
                ax.set_ylabel("direction of")
        return figure

    return draw(name, "Transfer of directions between organisms", paint)


def _cells(result: TransferFile, direction: str | None, organism: str, *, random: bool) -> list[Cell]:
    """Cells of this place; several where a control has several seeds."""
    return [
        cell
        for cell in result.cells
        if cell.organism == organism and (cell.role == "random") == random and cell.direction == direction
    ]


def _change(cells: list[Cell]) -> float | None:
    """Mean relative change over the cells (several seeds), or None where nothing was measured."""
    changes = [
        c.relative_change.value for c in cells if c.relative_change and c.relative_change.value is not None
    ]
    return sum(changes) / len(changes) if changes else None


def _text(cells: list[Cell], result: TransferFile) -> str:
    """`−91 %` above `22.1 → 2.0`; for several seeds the range of the changes below the mean."""
    change = _change(cells)
    if change is None:
        return "–"
    text = signed(change)
    if len(cells) > 1:
        changes = [
            c.relative_change.value
            for c in cells
            if c.relative_change and c.relative_change.value is not None
        ]
        text += f"\n{signed(min(changes))} … {signed(max(changes))}"
    else:
        plain = result.plain.get(cells[0].organism)
        after = cells[0].rates.em_all.percent
        if plain is not None and plain.em_all.percent is not None and after is not None:
            text += f"\n{plain.em_all.percent:.1f} → {after:.1f}"
    return text
