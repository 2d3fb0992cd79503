"""One picture with what a reader needs, and the sections that a page is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from markupsafe import Markup

from axenic.report.plots.canvas import Drawing
from axenic.report.tables import Table

MOST_OF_A_KIND = 6
"""Pictures of one kind in a page. What is beyond is named, not drawn: a page must stay small enough to mail."""


@dataclass(frozen=True)
class Figure:
    """One picture with what a reader needs.

    Args:
        title: What it shows, as a sentence would start.
        how: How to read it.
        command: What to type to get these numbers again.
        source: Files that the numbers come from, relative to the folder of the report.
        drawing: The picture; None when there is only a table.
        tables: The same numbers as text, folded away, each with its heading.
        tokens: Coloured tokens in place of a picture, as safe HTML.
    """

    title: str
    how: str
    command: str
    source: tuple[str, ...]
    drawing: Drawing | None
    tables: tuple[tuple[str, Table], ...] = ()
    tokens: Markup | None = None


@dataclass(frozen=True)
class Section:
    """A heading and its figures. `left_out` names results of this kind that are not drawn."""

    id: str
    title: str
    figures: tuple[Figure, ...]
    left_out: tuple[str, ...] = ()


def folder_of(name: str) -> str:
    """The folder a result file lies in, as typed on a command line."""
    parent = PurePosixPath(name).parent.as_posix()
    return "FOLDER" if parent == "." else parent


def rest(results: Mapping[str, object]) -> tuple[str, ...]:
    """Those that are too many to be drawn."""
    return tuple(list(results)[MOST_OF_A_KIND:])
