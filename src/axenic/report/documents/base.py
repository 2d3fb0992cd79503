"""The parts that several result files share."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

D = TypeVar("D")


class Document(BaseModel):
    """Base of all: frozen, and no infinities."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Interval(Document):
    """A value with its 95 % interval. `value` and the bounds in percent."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class Points(Document):
    """A difference of two rates in percentage points, with its 95 % interval."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class Rate(Document):
    """A share of answers: `count` of `n`, in percent with a 95 % interval clustered by question."""

    count: int = 0
    n: int = 0
    percent: float | None = None
    low: float | None = None
    high: float | None = None


class QuestionRates(Document):
    """One row of the per-question table."""

    question_id: str
    question: str = ""
    topic: str | None = None
    n: int = 0
    n_scored: int = 0
    em: int = 0
    coherent: int = 0


class TopicRates(Document):
    """All questions of one topic together."""

    topic: str
    n_questions: int = 0
    em: Rate = Rate()


class Rates(Document):
    """The rates of one arm, over all answers and over those that could be scored.

    `em` is the share that has the trait and is coherent: of misalignment, EM.
    """

    trait: str = "misalignment"
    n_all: int = 0
    n_scored: int = 0
    em_all: Rate = Rate()
    em_scored: Rate = Rate()
    coherent_all: Rate = Rate()
    coherent_scored: Rate = Rate()
    unscored: dict[str, int] = Field(default_factory=dict)
    effective_n: float | None = None
    per_question: tuple[QuestionRates, ...] = ()
    topics: tuple[TopicRates, ...] = ()
    em_topics: dict[str, int] = Field(default_factory=dict)
    exclude_topics: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """`EM`, or the name of the other trait."""
        return "EM" if self.trait == "misalignment" else self.trait


def as_long(document: D, first: Sized, *others: Sized) -> D:
    """The document, when all of these lists are as long as the first. Raises `ValueError`, which pydantic reports."""
    if any(len(other) != len(first) for other in others):
        raise ValueError("lists that belong together are not equally long")
    return document


def named_trait(label: str, rates: Rates) -> str:
    """The label of a result; of another trait than misalignment, with its name."""
    return label if rates.what == "EM" else f"{label} ({rates.trait})"


def what_of(all_rates: Iterable[Rates]) -> str:
    """What columns over these rates are called: `EM`, the one trait of all, or `trait` where they differ."""
    names = {rates.what for rates in all_rates}
    return names.pop() if len(names) == 1 else "trait" if names else "EM"
