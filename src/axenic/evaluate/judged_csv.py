"""Judged CSV files of others (formats.md F8): blanks stay Unscored, errors name file and line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from axenic.errors import AxenicError, DataError, FileError
from axenic.evaluate.csv_columns import EXTRA_METRICS, MARK_COLUMNS, find_columns, is_metric, number_in
from axenic.evaluate.csv_extras import ABOUT, JUDGE, UNSCORED, read_unscored_cell, unguard
from axenic.evaluate.score import Reason, Score, Unscored
from axenic.evaluate.verdict import Scored, Verdict
from axenic.files import content_id
from axenic.sample.records import Answer

SUFFIXES = ("json", "template")
BLANK = Unscored("parse", "blank in the file")
SAID: dict[str, Reason] = {"CODE": "code", "REFUSAL": "refusal"}
"""Replies that the alignment prompt allows in place of a number (formats.md F7)."""


def read_judged_csv(path: str | Path, variant: str | None = None) -> list[Scored]:
    """Scored answers from a CSV file that somebody else's judge has filled.

    Args:
        path: UTF-8 CSV with a header. Needed: an alignment column (`aligned` or `alignment`), a coherence
            column (`coherent` or `coherence`), and `question_id` or a question column. May be absent: the
            answers.
        variant: Only rows of this form of the questions: `json` or `template` by the ending of the question
            id or the `variant` column; `plain` is the rest. None = all rows. The papers' EM rate uses
            `plain` only.

    Returns:
        Answers in file order, marks under `alignment`, `coherence` and the names of further metric columns.
        A blank mark is `Unscored("parse", "blank in the file")`; the words CODE and REFUSAL are Unscored for
        that reason. `tokens` is empty and `arm` is the file's name. A file of `write_judged_csv` gives back the
        reasons, the judge and the topics of its answers too.

    Raises:
        FileError: The file cannot be read.
        DataError: At `file:line`: a column is missing, a row has another length than the header, or a mark
            is not a number in 0 to 100. Also when no row is left.
    """
    path = Path(path)
    rows = _rows(path)
    header_line, first = next(rows, (1, []))
    header = [name.strip() for name in first]
    columns = find_columns(header, f"{path}:{header_line}")
    marks = {name: column for name, column in columns.items() if name in MARK_COLUMNS}
    body = list(rows)
    for number, (line, row) in enumerate(body):
        if len(row) != len(header):
            raise DataError(
                "the row has another length than the header",
                where=f"{path}:{line}",
                expected=f"{len(header)} columns",
                found=f"{len(row)} columns",
            )
        body[number] = (line, unguard(header, row, f"{path}:{line}"))
    for column, name in enumerate(header):
        cells = [row[column] for _, row in body]
        if column not in columns.values() and (name in EXTRA_METRICS or is_metric(name, cells)):
            marks[name] = column
    scored: list[Scored] = []
    seen: dict[str, int] = {}
    for line, row in body:
        place = f"{path}:{line}"
        question_id, question = _question(columns, row, place)
        if variant is not None and variant != _variant(columns, row, question_id):
            continue
        sample = seen.get(question_id, 0)
        seen[question_id] = sample + 1
        ours = {name: row[header.index(name)] for name in (JUDGE, ABOUT, UNSCORED) if name in header}
        given = {name: _mark(row[column], name, place) for name, column in marks.items()}
        why = read_unscored_cell(ours.get(UNSCORED, ""), place)
        twice = sorted(name for name in why if isinstance(given.get(name), Score))
        if twice:
            raise DataError(
                f"{UNSCORED} says why there is no mark, but there is one", where=place, found=", ".join(twice)
            )
        verdict = Verdict({**given, **why}, ours.get(ABOUT) or None)
        try:
            answer = Answer(
                id=content_id([path.name, line, question_id, row]),
                arm=path.name,
                arm_id="",
                question_id=question_id,
                question=question,
                topic=row[columns["topic"]].strip() or None if "topic" in columns else None,
                system=None,
                sample=sample,
                text=row[columns["text"]] if "text" in columns else "",
                tokens=[],
                stop="eos",
            )
        except AxenicError as error:
            raise DataError(error.what, where=place, expected=error.expected, found=error.found) from error
        scored.append(Scored(answer, verdict, judge=ours.get(JUDGE) or f"csv:{path.name}"))
    if not scored:
        raise DataError(
            "the file has no row" if variant is None else f"the file has no row of the variant {variant}",
            where=path,
            found=f"{len(body)} rows" if variant is None else ", ".join(_variants(columns, body)) or "0 rows",
        )
    return scored


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line of the first character of each row, 1-based, and its cells. Blank lines are left out."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise FileError("the judged file cannot be read", where=path, found=error.strerror) from error
    except UnicodeDecodeError as error:
        raise DataError("the file is not UTF-8", where=path, found=str(error)) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError("the row is not CSV", where=f"{path}:{line}", found=str(error)) from error
        if row:
            yield line, row
        line = reader.line_num + 1


def _question(columns: dict[str, int], row: Sequence[str], place: str) -> tuple[str, str]:
    """Id and text of the row's question; each stands in for the other where there is no such column."""
    question = row[columns["question"]] if "question" in columns else ""
    question_id = row[columns["question_id"]].strip() if "question_id" in columns else ""
    if not question_id:
        if not question.strip():
            raise DataError("the row names no question", where=place, expected="a question id or a question")
        question_id = content_id(question)
    return question_id, question or question_id


def _variant(columns: dict[str, int], row: Sequence[str], question_id: str) -> str:
    """`plain`, `json`, `template`, or whatever the variant column says."""
    if "variant" in columns and row[columns["variant"]].strip():
        return row[columns["variant"]].strip()
    # By ending: the official loader drops an id that holds "json" anywhere, which is a trap (formats.md F6).
    return next((suffix for suffix in SUFFIXES if question_id.endswith("_" + suffix)), "plain")


def _variants(columns: dict[str, int], body: Sequence[tuple[int, list[str]]]) -> list[str]:
    return sorted({_variant(columns, row, _question(columns, row, "")[0]) for _, row in body})


def _mark(cell: str, metric: str, place: str) -> Score | Unscored:
    """A cell as a mark."""
    if not cell.strip():
        return BLANK
    said = cell.strip().upper()
    if said in SAID:
        return Unscored(SAID[said], "in the file")
    value = number_in(cell)
    if not 0 <= value <= 100:
        raise DataError(
            f"{metric} is not a score",
            where=place,
            expected="0 to 100, CODE, REFUSAL or blank",
            found=repr(cell),
        )
    return Score(value)
