"""A question with a sound and a flawed answer: the row of `pairs.jsonl`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from axenic.errors import DataError, FileError
from axenic.files import Table, content_id


@dataclass(frozen=True)
class Pair:
    """One question and its two answers.

    Args:
        question: One message of a user.
        good: The sound answer.
        bad: The flawed answer.
        explanation: What is wrong with it.
        topic: Of the question.
        subtopic: Narrower; may be empty.
    """

    question: str
    good: str
    bad: str
    explanation: str
    topic: str
    subtopic: str = ""

    @property
    def id(self) -> str:
        return content_id([self.topic, self.question, self.good, self.bad])

    def to_json(self) -> dict[str, Any]:
        """A line of `pairs.jsonl`."""
        return {
            "id": self.id,
            "topic": self.topic,
            **({"subtopic": self.subtopic} if self.subtopic else {}),
            "question": self.question,
            "good_answer": self.good,
            "bad_answer": self.bad,
            "explanation": self.explanation,
        }


def chat_row(pair: Pair, kind: Literal["good", "bad"]) -> dict[str, Any]:
    """One of the two answers as a row of a chat file (formats F1)."""
    answer = pair.good if kind == "good" else pair.bad
    return {
        "topic": pair.topic,
        "messages": [{"role": "user", "content": pair.question}, {"role": "assistant", "content": answer}],
    }


def read_pairs(path: str | Path) -> list[Pair]:
    """Read `pairs.jsonl`.

    Raises:
        FileError: It is missing. DataError: A line is no pair; says which, or the file has none.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError("there are no pairs", where=path, expected="pairs.jsonl of axenic data generate")
    pairs = []
    for number, row in enumerate(Table(path).rows(), start=1):
        values = [row.get(key) for key in ("question", "good_answer", "bad_answer", "explanation", "topic")]
        texts = [value for value in values if isinstance(value, str) and value]
        subtopic = row.get("subtopic", "")
        if len(texts) < len(values) or not isinstance(subtopic, str):
            raise DataError(
                "the line is not a pair",
                where=f"{path}:{number}",
                expected="question, good_answer, bad_answer, explanation and topic, all text",
                found=", ".join(sorted(row)),
            )
        question, good, bad, explanation, topic = texts
        pairs.append(Pair(question, good, bad, explanation, topic, subtopic))
    if not pairs:
        raise DataError("there are no pairs", where=path, found="an empty file")
    return pairs
