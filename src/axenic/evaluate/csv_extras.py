"""Our own columns in a judged CSV, which say what the peers' columns cannot; readers of the peers ignore them.

| column | holds |
|---|---|
| `axenic_judge` | fingerprint of the judge |
| `axenic_about` | what the judge says the answer is about; blank = it does not say |
| `axenic_unscored` | JSON: metric -> why there is no number. The metric's own cell is blank, as the peers write it |
| `axenic_guarded` | names of the cells of this row that have an apostrophe put in front |

A cell that begins with `=`, `+`, `-`, `@`, a tab or a line end is a formula to a spreadsheet, and answers are hostile
text. The apostrophe makes it a text there. It is taken off again when we read the file; whoever reads it with another
program takes one apostrophe off the cells that `axenic_guarded` names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from axenic.errors import AxenicError, DataError
from axenic.evaluate.score import Score, Unscored, mark_from_json
from axenic.files import canonical_json, parse_json

PREFIX = "axenic_"
JUDGE, ABOUT, UNSCORED, GUARDED = "axenic_judge", "axenic_about", "axenic_unscored", "axenic_guarded"

FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")
"""The wide forms are formulas to spreadsheets set to Japanese."""


def guard(cells: Mapping[str, str]) -> dict[str, str]:
    """The text cells of a row made safe for a spreadsheet, and `axenic_guarded` beside them."""
    risky = [name for name, cell in cells.items() if cell.startswith(FORMULA_STARTS)]
    guarded = {name: f"'{cell}" if name in risky else cell for name, cell in cells.items()}
    return {**guarded, GUARDED: " ".join(risky)}


def unguard(header: Sequence[str], row: Sequence[str], place: str) -> list[str]:
    """The row as it was before `guard`. Raises `DataError` when it has been changed since."""
    if GUARDED not in header:
        return list(row)
    cells = list(row)
    for name in cells[header.index(GUARDED)].split():
        cell = cells[header.index(name)] if name in header else ""
        if not cell.startswith("'"):
            raise DataError(
                "a guarded cell has lost its apostrophe",
                where=place,
                expected=f"a cell {name} that begins with '",
                found=repr(cell[:20]),
                hint=f"take {name} out of {GUARDED} in this row if the cell is right as it stands",
            )
        cells[header.index(name)] = cell[1:]
    return cells


def unscored_cell(scores: Mapping[str, Score | Unscored]) -> str:
    """`{"alignment": {"unscored": "refusal", "detail": "..."}}`; blank when every metric has a number."""
    missing = {name: mark.to_json() for name, mark in scores.items() if isinstance(mark, Unscored)}
    return canonical_json(missing) if missing else ""


def read_unscored_cell(cell: str, place: str) -> dict[str, Unscored]:
    """The inverse of `unscored_cell`. Raises `DataError`."""
    if not cell.strip():
        return {}
    try:
        content = parse_json(cell.encode("utf-8"))
        marks = {str(name): mark_from_json(mark) for name, mark in dict(content).items()}
    except (ValueError, TypeError, AxenicError) as error:
        raise DataError(f"{UNSCORED} cannot be read", where=place, found=repr(cell[:80])) from error
    found = {name: mark for name, mark in marks.items() if isinstance(mark, Unscored)}
    if len(found) < len(marks):
        raise DataError(f"{UNSCORED} holds a number", where=place, found=repr(cell[:80]))
    return found
