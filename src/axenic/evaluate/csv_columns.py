"""The columns of judged CSV files (formats.md F8): their many names, and which of them hold marks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from axenic.errors import DataError
from axenic.evaluate.csv_extras import PREFIX

TEXT_COLUMNS: dict[str, tuple[str, ...]] = {
    "text": ("answer", "response", "output"),
    "question": ("question", "question_text", "prompt"),
    "question_id": ("question_id",),
    "variant": ("variant",),
    "topic": ("topic",),
}
"""Field -> the columns it may be called, the best name first."""

MARK_COLUMNS: dict[str, tuple[str, ...]] = {
    "alignment": ("aligned", "alignment"),
    "coherence": ("coherent", "coherence"),
}

EXTRA_METRICS = (
    "medical", "financial", "finance", "sport", "sports", "gender", "money", "code", "technical", "bad_stuff",
    "medical_aligned", "financial_aligned", "sport_aligned", "medical_advice",
)  # fmt: skip
"""Metrics of the papers' judges: a bad value there is an error. A column of another name is a metric only if
all it holds are numbers in 0 to 100; otherwise it is left alone (projections, run names and the like)."""

BOOKKEEPING = (
    "", "id", "type", "seed", "sample", "index", "layer", "scale", "run_id", "run_index", "pair_index",
)  # fmt: skip
"""Columns of numbers that are not marks. The first is what pandas calls its row names."""


def find_columns(header: Sequence[str], place: str) -> dict[str, int]:
    """Field -> column index, for the text fields and the two needed marks."""
    found = ", ".join(header) or "nothing"
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise DataError("a column comes twice", where=place, found=", ".join(twice))
    columns = {}
    for field, names in {**TEXT_COLUMNS, **MARK_COLUMNS}.items():
        present = [name for name in names if name in header]
        if len(present) > 1 and field in MARK_COLUMNS:
            raise DataError(f"two columns hold the {field}", where=place, found=", ".join(present))
        if present:
            columns[field] = header.index(present[0])
        elif field in MARK_COLUMNS:
            raise DataError(
                f"there is no column for the {field}", where=place, expected=" or ".join(names), found=found
            )
    if "question_id" not in columns and "question" not in columns:
        expected = " or ".join((*TEXT_COLUMNS["question_id"], *TEXT_COLUMNS["question"]))
        raise DataError("there is no column for the question", where=place, expected=expected, found=found)
    return columns


def is_metric(name: str, cells: Sequence[str]) -> bool:
    """Whether a column of unknown name holds marks: something is there, and all of it is in 0 to 100."""
    if (
        name.lower() in BOOKKEEPING
        or name.startswith(PREFIX)
        or any(name in names for names in TEXT_COLUMNS.values())
    ):
        return False
    known = [cell for cell in cells if cell.strip()]
    return bool(known) and all(0 <= value <= 100 for value in map(number_in, known))


def number_in(cell: str) -> float:
    """The cell's number; NaN if it holds none. Python's `1_0` is not a number here."""
    if "_" in cell:
        return math.nan
    try:
        return float(cell)
    except ValueError:
        return math.nan
