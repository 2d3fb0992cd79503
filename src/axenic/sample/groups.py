"""Questions with the sampling that their file wishes for: one group for each temperature and number of answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from axenic.sample.questionfile import read_question_items
from axenic.sample.questions import FIRST_PLOT, SETS, YAML, read_questions
from axenic.sample.records import Question

PUBLISHED_SAMPLES = 50
"""Answers to each question (papers.md 1.3.2)."""

NANO_SAMPLES = 8
"""The nano world has 56 questions instead of eight: about as many answers in all."""


@dataclass(frozen=True)
class QuestionGroup:
    """Questions that are asked in the same way.

    Attributes:
        questions: At least one.
        per_question: Answers to each.
        temperature: None leaves it to the sampling settings.
    """

    questions: tuple[Question, ...]
    per_question: int
    temperature: float | None = None


def read_groups(
    source: str | Path,
    *,
    per_question: int | None = None,
    temperature: float | None = None,
    variants: bool = False,
) -> list[QuestionGroup]:
    """Questions of a set or file, each with the number of answers and the temperature that its file asks for (formats F6).

    Args:
        source: As for `read_questions`.
        per_question: Overrides the file's; else 50 where the file does not say, 8 for `nano`.
        temperature: Overrides the file's.
        variants: Only for YAML: also the JSON and template variants.

    Raises:
        FileError, DataError: As `read_questions`.
    """
    path = SETS / "first-plot.yaml" if source == FIRST_PLOT else Path(source)
    if source == "nano" or path.suffix.lower() not in YAML:
        each = per_question or (NANO_SAMPLES if source == "nano" else PUBLISHED_SAMPLES)
        return [QuestionGroup(tuple(read_questions(source)), each, temperature)]
    groups: dict[tuple[int, float | None], list[Question]] = {}
    for item in read_question_items(path, variants=variants):
        each = per_question or item.samples or PUBLISHED_SAMPLES
        warmth = item.temperature if temperature is None else temperature
        groups.setdefault((each, warmth), []).extend(item.questions())
    return [QuestionGroup(tuple(asked), each, warmth) for (each, warmth), asked in groups.items()]
