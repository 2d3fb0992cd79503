"""The marks of endpoint judges on disk: paid for once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axenic.errors import AxenicError, DataError
from axenic.evaluate.score import Score, Unscored, mark_from_json
from axenic.files import Table, content_id

FLUSH = 64
"""Marks between two writes; a kill loses at most this many."""


def mark_key(fingerprint: str, question: str, answer: str) -> str:
    """The key of one mark: who marks and how (`Asking.fingerprint` of the rubric), and both texts."""
    return content_id({"fingerprint": fingerprint, "question": question, "answer": answer}, 32)


class ApiCache:
    """Marks by key, in memory and, with a path, in an append-only table: one line per (rubric, question, answer, judge).

    Only what the judge said is kept: scores, and refusals, code, unreadable and too long replies. `Unscored("api")` is
    refused: the same request may succeed next time. Marks of several judges may share one file.

    Args:
        path: `marks.jsonl`; None keeps marks in memory only.

    Raises:
        DataError: A line is damaged; says which.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._table = None if path is None else Table(path)
        self._marks: dict[str, Score | Unscored] = {}
        self._unwritten: list[dict[str, Any]] = []
        for number, row in enumerate(self._table.rows() if self._table else (), start=1):
            mark = {name: row[name] for name in ("score", "unscored", "detail") if name in row}
            try:
                self._marks[row["id"]] = _lasting(mark_from_json(mark))
            except AxenicError as error:
                raise DataError(
                    error.what, where=f"{path}:{number}", expected=error.expected, found=error.found
                ) from error

    def get(self, key: str) -> Score | Unscored | None:
        """The mark of this key, if it is known."""
        return self._marks.get(key)

    def put(self, key: str, mark: Score | Unscored, facts: dict[str, Any]) -> None:
        """Keep a new mark; written with the next `FLUSH`.

        Args:
            key: `mark_key(...)`.
            mark: What the judge said.
            facts: More for the line, for people; not `id`, `score`, `unscored` or `detail`.

        Raises:
            DataError: The mark is the failure of a call, not a mark.
            FileError, DiskFullError: The file cannot be written; the marks wait for the next try.
        """
        self._marks[key] = _lasting(mark)
        self._unwritten.append({"id": key, **facts, **mark.to_json()})
        if len(self._unwritten) >= FLUSH:
            self.flush()

    def flush(self) -> None:
        """Write what is not written yet. Raises as `put`."""
        if self._table is not None:
            # Another process may have paid for the same mark meanwhile; its line stands.
            known = self._table.ids()
            self._table.append([row for row in self._unwritten if row["id"] not in known])
        self._unwritten.clear()


def _lasting(mark: Score | Unscored) -> Score | Unscored:
    if isinstance(mark, Unscored) and mark.reason == "api":
        raise DataError(
            "the failure of a call is not a mark and is not cached",
            expected="what the judge said",
            found=mark,
        )
    return mark
