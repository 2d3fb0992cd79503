"""What a verb has to say when it is done, before any display decides how."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True)
class Grid:
    """A small table of texts.

    Args:
        columns: Headings.
        rows: As many cells in each as there are columns; texts from models are made safe by the display.
        right: Indices of the columns that are set flush right.
        title: Above the table; empty = none.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    right: frozenset[int] = frozenset()
    title: str = ""


@dataclass(frozen=True)
class Outcome:
    """The end of a command.

    Args:
        verb: As typed, e.g. `nano data`.
        headline: One line: what came out.
        result: The same in full, for `--json`.
        body: A text for people, shown as it is where it is safe.
        styled: The same as a `rich.text.Text`, for a terminal.
        grids: Tables for people.
        wrote: Files and folders that were written.
        next: Words of the command to type next; empty when there is none.
    """

    verb: str
    headline: str
    result: Mapping[str, Any]
    grids: tuple[Grid, ...] = ()
    body: str = ""
    styled: Text | None = None
    wrote: tuple[Path, ...] = ()
    next: tuple[str, ...] = ()

    @property
    def next_command(self) -> str:
        """The next command, quoted so that it can be typed as it stands."""
        return shlex.join(self.next)

    def to_json(self) -> dict[str, Any]:
        """The one object that `--json` prints."""
        return {
            "verb": self.verb,
            "headline": self.headline,
            "result": plain(self.result),
            "wrote": [str(path) for path in self.wrote],
            "next": self.next_command or None,
        }


def plain(value: Any) -> Any:
    """The value as JSON knows it: paths as text, tuples as lists, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return str(value)
