"""Judge answers into `scores.jsonl`, and read answers and scores back together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from axenic.errors import AxenicError, DataError, FileError, UsageError
from axenic.evaluate.judge import Judge
from axenic.evaluate.verdict import Scored, Verdict
from axenic.files import Table, content_id
from axenic.progress import Progress, silent
from axenic.sample.records import Answer, read_answers

CHUNK = 256
"""Answers judged between two writes."""


def judge_answers(
    answers: Sequence[Answer],
    judge: Judge,
    *,
    out: str | Path | None = None,
    progress: Progress = silent,
    chunk: int = CHUNK,
) -> list[Scored]:
    """Let a judge mark answers; with `out`, only those it has not marked yet.

    Lines are appended in the order of `answers`, a chunk at a time, so that a killed and repeated run leaves
    the same bytes as one that ran through, and whatever is raised loses at most one chunk of work.

    Args:
        answers: What to mark; ids must differ.
        judge: Who marks.
        out: `scores.jsonl`: one line per (answer, judge). Lines of other answers and judges are left alone.
        progress: Told after every chunk.
        chunk: Answers per write, at least 1. It does not change the file.

    Returns:
        Every answer with its verdict, in the order of `answers`.

    Raises:
        DataError: Two answers have one id, or a line of `out` is damaged.
        DiskFullError: The disk ran full; finished chunks are kept.
        UsageError: The judge gave another number of verdicts than it had answers, or left a metric out.
    """
    if chunk < 1:
        raise UsageError("chunk is too small", expected="1 or more", found=chunk)
    ids = {answer.id for answer in answers}
    if len(ids) != len(answers):
        raise DataError("two answers have the same id", found=f"{len(answers)} answers, {len(ids)} ids")
    table = None if out is None else Table(Path(out))
    verdicts: dict[str, Verdict] = {}
    if table is not None:
        verdicts = {
            line["answer_id"]: verdict
            for line, verdict in _read_lines(Path(table.path), table)
            if line["fingerprint"] == judge.fingerprint and line["answer_id"] in ids
        }
    todo = [answer for answer in answers if answer.id not in verdicts]
    done, total = len(verdicts), len(answers)
    facts = {} if out is None else {"out": str(out)}
    progress("judge", done, total, "answer", **facts)
    for start in range(0, len(todo), chunk):
        part = todo[start : start + chunk]
        marked = judge.judge([(answer.question, answer.text) for answer in part])
        _check(judge, marked, len(part))
        if table is not None:
            table.append([_line(*pair, judge) for pair in zip(part, marked, strict=True)])
        verdicts.update((answer.id, verdict) for answer, verdict in zip(part, marked, strict=True))
        done += len(part)
        progress("judge", done, total, "answer", **facts)
    return [Scored(answer, verdicts[answer.id], judge.fingerprint) for answer in answers]


def read_scored(answers_path: str | Path, scores_path: str | Path, judge: str | None = None) -> list[Scored]:
    """Answers with their scores, in the order of the answers.

    Args:
        answers_path: `answers.jsonl`.
        scores_path: `scores.jsonl`. Scores of answers that are not in the first file are left out.
        judge: Name or fingerprint of the judge; needed only when the file has the scores of several.

    Raises:
        FileError: One of the files is missing.
        DataError: A line is damaged, or answers have no score by this judge.
        UsageError: The file has scores of several judges and none, or another, was named.
    """
    answers = read_answers(answers_path)
    path = Path(scores_path)
    again = f"axenic judge {answers_path}"
    if not path.is_file():
        raise FileError("the answers have no scores yet", where=path, hint=again)
    lines = _read_lines(path, Table(path))
    judges = {line["fingerprint"]: line["judge"] for line, _ in lines}
    chosen = [print_ for print_, name in judges.items() if judge is None or judge in (name, print_)]
    if judges and len(chosen) != 1:
        raise UsageError(
            "say which judge's scores to use" if chosen else f"there are no scores by judge {judge!r}",
            where=path,
            expected="the name or fingerprint of one judge",
            found=", ".join(f"{name} ({print_})" for print_, name in judges.items()),
            hint=None if chosen else again,
        )
    fingerprint = chosen[0] if chosen else ""
    verdicts = {line["answer_id"]: verdict for line, verdict in lines if line["fingerprint"] == fingerprint}
    missing = [answer.id for answer in answers if answer.id not in verdicts]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(answers)} answers have no score",
            where=path,
            found=f"the first is {missing[0]}",
            hint=again,
        )
    return [Scored(answer, verdicts[answer.id], fingerprint) for answer in answers]


def _line(answer: Answer, verdict: Verdict, judge: Judge) -> dict[str, Any]:
    """One line of `scores.jsonl`."""
    return {
        "id": content_id([answer.id, judge.fingerprint]),
        "answer_id": answer.id,
        "judge": judge.name,
        "fingerprint": judge.fingerprint,
        **verdict.to_json(),
    }


def _read_lines(path: Path, table: Table) -> list[tuple[dict[str, Any], Verdict]]:
    """Every line with its verdict. Raises `DataError` at `file:line`."""
    read = []
    for number, row in enumerate(table.rows(), start=1):
        place = f"{path}:{number}"
        for key in ("answer_id", "judge", "fingerprint"):
            if not isinstance(row.get(key), str):
                raise DataError(f"the line is not a score: no {key}", where=place, expected=f'"{key}": text')
        try:
            read.append((row, Verdict.from_json(row)))
        except AxenicError as error:
            raise DataError(error.what, where=place, expected=error.expected, found=error.found) from error
    return read


def _check(judge: Judge, verdicts: Sequence[Verdict], expected: int) -> None:
    """Refuse a judge that broke its promise before anything is written."""
    if len(verdicts) != expected:
        raise UsageError(
            f"judge {judge.name} must give one verdict per answer", expected=expected, found=len(verdicts)
        )
    for verdict in verdicts:
        left_out = [metric for metric in judge.metrics if metric not in verdict.scores]
        if left_out:
            raise UsageError(
                f"judge {judge.name} left a metric out",
                expected=", ".join(judge.metrics),
                found=", ".join(verdict.scores) or "no mark",
            )
