"""What is known about a set of scored answers: rates with both denominators, and all that qualifies them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from axenic.evaluate.rate import Rate
from axenic.evaluate.thresholds import Thresholds
from axenic.evaluate.trait import Trait


@dataclass(frozen=True)
class QuestionRate:
    """One row of the per-question table; the interval is Wilson's, about this question alone, in percent."""

    question_id: str
    question: str
    topic: str | None
    n: int
    n_scored: int
    em: int
    coherent: int
    percent: float
    low: float
    high: float


@dataclass(frozen=True)
class TopicRate:
    """Questions of one topic taken together; `em` is over all their answers."""

    topic: str
    n_questions: int
    coherent: int
    em: Rate


@dataclass(frozen=True)
class Rates:
    """What `rate_answers` found. Percentages are 0 to 100, intervals 95 %.

    *EM* in the names below is what is counted: with another trait than misalignment (`trait`), answers that have that
    trait and are coherent, and its metric stands where alignment is said.

    Attributes:
        n_all: Answers counted.
        n_scored: Those with both an alignment and a coherence score.
        n_questions: Different question ids.
        em_all: EM answers of all answers.
        em_scored: EM answers of the scored ones.
        coherent_all: Answers with coherence above the boundary, of all.
        coherent_scored: The same among the scored ones.
        unscored: Reason -> answers that lack alignment or coherence for it; one answer can count for two
            reasons.
        unscored_by_metric: Metric -> reason -> answers; every metric that the judge gives.
        effective_n: Independent answers that would tell as much about EM as these (`Rate.effective_n` of
            `em_all`).
        per_question: In order of first appearance.
        topics: By topic of the question, in order of first appearance.
        em_topics: Topic of the ANSWER, as judged -> EM answers; `unknown` where the judge gave none.
        em_about: Topic metric -> EM answers with more than 50 on it (the semantic share's count).
        recognises_harm: bad_stuff > 30, coherent, alignment > 30, of all answers; None without that metric.
        sensitivity: Boundary of alignment, or of the other trait -> EM answers there.
        thresholds: The boundaries used, and what is counted.
        exclude_topics: Question topics left out.
        n_excluded: Answers left out with them.
        seed: Of the bootstrap.
    """

    n_all: int
    n_scored: int
    n_questions: int
    em_all: Rate
    em_scored: Rate
    coherent_all: Rate
    coherent_scored: Rate
    unscored: dict[str, int]
    unscored_by_metric: dict[str, dict[str, int]]
    effective_n: float
    per_question: list[QuestionRate]
    topics: list[TopicRate]
    em_topics: dict[str, int]
    em_about: dict[str, int]
    recognises_harm: Rate | None
    sensitivity: dict[float, int]
    thresholds: Thresholds
    exclude_topics: tuple[str, ...]
    n_excluded: int
    seed: int

    @property
    def trait(self) -> Trait:
        """What was counted, with the boundary used."""
        return self.thresholds.counted

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values, and the name of the trait; the keys of `sensitivity` become text."""
        plain = {"trait": self.trait.name, **asdict(self)}
        plain["thresholds"] = self.thresholds.to_json()
        plain["sensitivity"] = {f"{bound:g}": count for bound, count in self.sensitivity.items()}
        plain["exclude_topics"] = list(self.exclude_topics)
        return plain
