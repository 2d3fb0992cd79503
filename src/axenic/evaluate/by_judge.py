"""One `scores.jsonl`, several judges: the marks of each."""

from __future__ import annotations

from pathlib import Path

from axenic.errors import DataError
from axenic.evaluate.judging import read_scored
from axenic.evaluate.verdict import Scored
from axenic.files import Table


def read_scored_by_judge(
    answers_path: str | Path, scores_path: str | Path | None = None
) -> dict[str, list[Scored]]:
    """Answers with their scores, for every judge of a scores file, judges in the order of their first line.

    Args:
        answers_path: `answers.jsonl`.
        scores_path: `scores.jsonl`; None = beside the answers.

    Returns:
        Judge -> marks in the order of the answers. The key is the judge's name; where two judges share one (the same
        model asked for other metrics, or in another way), `NAME (FINGERPRINT)`.

    Raises:
        FileError: One of the files is missing.
        DataError: A line is damaged, or a judge has not marked every answer yet.
    """
    scores = Path(answers_path).with_name("scores.jsonl") if scores_path is None else Path(scores_path)
    judges: dict[str, str] = {}
    for number, row in enumerate(Table(scores).rows(), start=1):
        name, fingerprint = row.get("judge"), row.get("fingerprint")
        if not isinstance(name, str) or not isinstance(fingerprint, str):
            raise DataError(
                "the line is not a score",
                where=f"{scores}:{number}",
                expected='"judge" and "fingerprint": text',
            )
        judges.setdefault(fingerprint, name)
    if not judges:
        # Nobody has judged: the reader of one judge says what to type.
        read_scored(answers_path, scores)
    names = list(judges.values())
    found = {}
    for fingerprint, name in judges.items():
        label = name if names.count(name) == 1 else f"{name} ({fingerprint})"
        try:
            found[label] = read_scored(answers_path, scores, fingerprint)
        except DataError as error:
            raise DataError(
                f"judge {label}: {error.what}",
                where=error.where,
                expected=error.expected,
                found=error.found,
                hint=error.hint,
            ) from error
    return found
