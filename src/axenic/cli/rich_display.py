"""The display of a terminal: a moving progress line, tables with rules, the next command in bold."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column, Table
from rich.text import Text

from axenic.cli.display import cell, written
from axenic.cli.outcome import Grid, Outcome
from axenic.cli.pace import Line, Pace
from axenic.visible import visible

HERTZ = 10
"""Refreshes per second at most."""


class RichDisplay:
    """Every text is handed over as `Text`: markup, emoji codes and highlighting never see it."""

    def __init__(self, out: Console | None = None, err: Console | None = None) -> None:
        self._out = out or Console(highlight=False, markup=False, emoji=False)
        self._err = err or Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._pace = Pace(1 / HERTZ)
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def progress(self, stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
        line = self._pace.line(stage, done, total, unit, facts)
        if line is None:
            return
        if line.final:
            self.close()
            self._err.print(Text("✓ ", "green") + Text(visible(line.text)))
        else:
            self._move(line)

    def note(self, text: str) -> None:
        self._err.print(Text(visible(text), "dim"))

    def show(self, outcome: Outcome) -> None:
        self.close()
        self._out.print(Text(visible(outcome.headline), "bold"))
        if outcome.body:
            self._out.print(outcome.styled or Text(visible(outcome.body)))
        for grid in outcome.grids:
            self._out.print(_table(grid))
        for path in outcome.wrote:
            self._out.print(Text("wrote  ", "dim") + Text(visible(written(path))), soft_wrap=True)
        if outcome.next:
            # One unbroken line, so that it can be copied.
            self._out.print(
                Text("next   ", "dim") + Text(visible(outcome.next_command), "bold cyan"), soft_wrap=True
            )

    def close(self) -> None:
        """Take the progress line away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _move(self, line: Line) -> None:
        if self._bar is None:
            text = TextColumn(
                "{task.fields[line]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")
            )
            self._bar = Progress(
                BarColumn(bar_width=20), text, console=self._err, transient=True, refresh_per_second=HERTZ
            )
            self._task = self._bar.add_task("", total=line.total, line=visible(line.text))
            self._bar.start()
        self._bar.update(self._task, completed=line.done, total=line.total, line=visible(line.text))


def _table(grid: Grid) -> Table:
    table = Table(
        box=SIMPLE_HEAD,
        title=Text(grid.title, "bold") if grid.title else None,
        title_justify="left",
        pad_edge=False,
    )
    for index, name in enumerate(grid.columns):
        table.add_column(Text(name), justify="right" if index in grid.right else "left", overflow="fold")
    for row in grid.rows:
        table.add_row(*(Text(cell(text)) for text in row))
    return table
