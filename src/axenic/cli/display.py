"""Three displays: rich on a terminal, plain lines elsewhere, one JSON object for programs.

Results go to standard output; notes and progress go to standard error, so that a pipe gets the result alone.
Whatever is printed passes `visible`: texts of models and strangers cannot move the cursor or colour the terminal.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from axenic.cli.outcome import Grid, Outcome
from axenic.cli.pace import Pace
from axenic.visible import visible

PLAIN_SECONDS = 5.0
"""Between two progress lines where lines stay (logs, CI)."""


class Display(Protocol):
    """What a verb prints through. `progress` is an `axenic.progress.Progress`."""

    def progress(self, stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None: ...

    def note(self, text: str) -> None: ...

    def show(self, outcome: Outcome) -> None: ...

    def close(self) -> None: ...


@contextmanager
def display_for(as_json: bool) -> Iterator[Display]:
    """The display for this command; closed when the command ends, however it ends."""
    display = choose_display(as_json)
    try:
        yield display
    finally:
        display.close()


def choose_display(as_json: bool) -> Display:
    """JSON when asked for; rich when standard output is a terminal and this is not CI; else plain lines."""
    if as_json:
        return JsonDisplay()
    if sys.stdout.isatty() and "CI" not in os.environ and os.environ.get("TERM") != "dumb":
        from axenic.cli.rich_display import RichDisplay

        return RichDisplay()
    return PlainDisplay()


class PlainDisplay:
    """One line per event."""

    def __init__(self) -> None:
        self._pace = Pace(PLAIN_SECONDS)

    def progress(self, stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
        line = self._pace.line(stage, done, total, unit, facts)
        if line is not None:
            print(visible(line.text), file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        print(visible(text), file=sys.stderr, flush=True)

    def show(self, outcome: Outcome) -> None:
        print(visible(outcome.headline))
        if outcome.body:
            print(f"\n{visible(outcome.body)}")
        for grid in outcome.grids:
            print()
            for line in grid_lines(grid):
                print(line)
        print()
        for path in outcome.wrote:
            print(f"wrote  {visible(written(path))}")
        if outcome.next:
            print(f"next   {visible(outcome.next_command)}")
        sys.stdout.flush()

    def close(self) -> None:
        """Nothing to put back."""


class JsonDisplay:
    """One JSON object on standard output, nothing else anywhere."""

    def progress(self, stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
        """Nothing: a program waits for the end."""

    def note(self, text: str) -> None:
        """Nothing."""

    def show(self, outcome: Outcome) -> None:
        # ASCII only: every character arrives, whatever the encoding of the pipe, and none acts on a terminal.
        print(json.dumps(outcome.to_json(), allow_nan=False), flush=True)

    def close(self) -> None:
        """Nothing to put back."""


def grid_lines(grid: Grid) -> list[str]:
    """A table as lines, columns two spaces apart."""
    rows = [[cell(text) for text in row] for row in (grid.columns, *grid.rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(grid.columns))]
    lines = [grid.title] if grid.title else []
    for number, row in enumerate(rows):
        cells = [
            text.rjust(width) if i in grid.right else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths))
    return lines


def cell(text: str) -> str:
    """One cell: visible, on one line."""
    return " ".join(visible(text).split())


def written(path: Path) -> str:
    """The path with its size where it is a file."""
    if not path.is_file():
        return f"{path}/" if path.is_dir() else str(path)
    size = float(path.stat().st_size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{path}  ({size:,.0f} {unit})" if unit == "bytes" else f"{path}  ({size:,.1f} {unit})"
