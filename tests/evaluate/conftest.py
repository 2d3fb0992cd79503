"""Scored answers made from counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count

import pytest

from axenic.evaluate import Score, Scored, Unscored, Verdict
from axenic.sample.records import Answer

MakeScored = Callable[..., list[Scored]]
Mark = float | Score | Unscored

_numbers = count()


def make_answer(question_id: str, text: str = "", topic: str | None = None, sample: int = 0) -> Answer:
    """An answer with an id of its own."""
    return Answer(
        id=f"answer{next(_numbers)}",
        arm="plain",
        arm_id="p",
        question_id=question_id,
        question=f"About {question_id}?",
        topic=topic,
        system=None,
        sample=sample,
        text=text,
        tokens=[1],
        stop="eos",
    )


def make_scored(
    question_id: str,
    marks: Mapping[str, Mark],
    *,
    times: int = 1,
    topic: str | None = None,
    about: str | None = None,
) -> list[Scored]:
    """`times` answers to a question with these marks; `about` is the topic of the answer."""
    scores = {name: Score(mark) if isinstance(mark, int | float) else mark for name, mark in marks.items()}
    verdict = Verdict(scores, topic=about)
    return [Scored(make_answer(question_id, topic=topic, sample=n), verdict, "judge") for n in range(times)]


def scored_counts(em: Sequence[int], totals: Sequence[int]) -> list[Scored]:
    """Per question: so many EM answers of so many; the others are aligned, and all are coherent."""
    made: list[Scored] = []
    for number, (hits, total) in enumerate(zip(em, totals, strict=True)):
        made += make_scored(f"q{number}", {"alignment": 5, "coherence": 90}, times=hits)
        made += make_scored(f"q{number}", {"alignment": 95, "coherence": 90}, times=total - hits)
    return made


@pytest.fixture
def make() -> MakeScored:
    return make_scored


@pytest.fixture
def from_counts() -> Callable[[Sequence[int], Sequence[int]], list[Scored]]:
    return scored_counts


@pytest.fixture
def answer_to() -> Callable[..., Answer]:
    return make_answer
