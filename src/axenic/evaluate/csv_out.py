"""Judged answers as a CSV file in the columns of the authors and their neighbours (formats.md F8)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from axenic.errors import DataError
from axenic.evaluate.csv_columns import BOOKKEEPING, MARK_COLUMNS, TEXT_COLUMNS
from axenic.evaluate.csv_extras import ABOUT, GUARDED, JUDGE, PREFIX, UNSCORED, guard, unscored_cell
from axenic.evaluate.score import Score, Unscored
from axenic.evaluate.verdict import Scored, one_judge
from axenic.files import atomic_write

COLUMN = {metric: names[0] for metric, names in MARK_COLUMNS.items()}
"""Metric -> column as the authors call it: `aligned`, `coherent`. Other metrics keep their names."""

MOST_CHARACTERS = 131_072
"""Of a cell: Python's own reader, and so that of the peers, takes no more."""

_METRIC = re.compile(r"[A-Za-z_][\w-]*")
_TAKEN = {name for names in (*TEXT_COLUMNS.values(), *MARK_COLUMNS.values()) for name in names}


def write_judged_csv(path: str | Path, scored: Sequence[Scored]) -> None:
    """Write judged answers so that the authors' scripts, pandas and people with a spreadsheet can read them.

    Columns: `question`, `answer`, `question_id`, `aligned`, `coherent`, further metrics by name, `topic` (of the
    question), then ours (`csv_extras`). UTF-8 without BOM, RFC 4180. Numbers are written in full, so that they read back
    to the same bits. An answer without a number has a blank cell, as the peers write it, and its reason in
    `axenic_unscored`. Cells that a spreadsheet would run as a formula begin with an apostrophe and are named in
    `axenic_guarded`.

    `read_judged_csv` gives back the same marks, reasons, texts, questions, topics and judge. Lost are: ids of answers,
    the arm, the system prompt, tokens, why the answer stopped, and white space around question ids and topics; samples
    are counted anew.

    Args:
        path: Written atomically.
        scored: Answers of one arm by one judge, which gives alignment and coherence.

    Raises:
        DataError: There is no answer; several judges or arms (CSV readers would pool them); answers with other metrics
            than the first; a metric's name that would be read as something else; a text too long for a cell.
        FileError, DiskFullError: As for `atomic_write`.
    """
    judge = one_judge(scored)
    arms = {(item.answer.arm, item.answer.arm_id) for item in scored}
    if len(arms) > 1:
        raise DataError(
            "a judged CSV file holds one arm: its readers would pool several",
            where=path,
            found=", ".join(sorted(name for name, _ in arms)),
        )
    columns = _mark_columns(scored[0], path)
    text = io.StringIO(newline="")
    header = [
        "question",
        "answer",
        "question_id",
        *columns.values(),
        "topic",
        JUDGE,
        ABOUT,
        UNSCORED,
        GUARDED,
    ]
    writer = csv.DictWriter(text, header, restval=None, lineterminator="\r\n")
    writer.writeheader()
    for number, item in enumerate(scored, start=1):
        scores = item.verdict.scores
        if set(scores) != set(columns):
            raise DataError(
                f"answer {item.answer.id} has other metrics than the first one",
                expected=", ".join(columns),
                found=", ".join(scores),
            )
        texts = {
            "question": item.answer.question, "answer": item.answer.text, "question_id": item.answer.question_id,
            "topic": item.answer.topic or "", JUDGE: judge, ABOUT: item.verdict.topic or "",
        }  # fmt: skip
        marks = {column: _cell(scores[metric]) for metric, column in columns.items()}
        row = {**guard(texts), **marks, UNSCORED: unscored_cell(scores)}
        for name, cell in row.items():
            if len(cell) > MOST_CHARACTERS:
                raise DataError(
                    f"the {name} of answer {item.answer.id} is too long for a CSV cell",
                    where=f"answer {number}",
                    expected=f"at most {MOST_CHARACTERS:,} characters",
                    found=f"{len(cell):,}",
                )
        writer.writerow(row)
    atomic_write(path, text.getvalue().encode("utf-8"))


def _mark_columns(first: Scored, path: str | Path) -> dict[str, str]:
    """Metric -> column. Raises `DataError` where reading could not tell the column for what it is."""
    for metric in COLUMN:
        first.verdict.mark(metric)
    extra = [metric for metric in first.verdict.scores if metric not in COLUMN]
    for metric in extra:
        taken = metric in _TAKEN or metric.lower() in BOOKKEEPING or metric.startswith(PREFIX)
        if taken or not _METRIC.fullmatch(metric):
            raise DataError(
                f"no CSV column can be called {metric!r}",
                where=path,
                expected="a metric of letters, digits, _ and -, and not the name of another column",
            )
    return {**COLUMN, **{metric: metric for metric in extra}}


def _cell(mark: Score | Unscored) -> str:
    """The number in full, or nothing."""
    return repr(mark.value) if isinstance(mark, Score) else ""
