"""How answers are got and judged, as one value: every analysis of interventions takes one."""

from __future__ import annotations

from dataclasses import dataclass

from axenic.errors import DataError, UsageError
from axenic.evaluate import Judge, Thresholds, require_metrics
from axenic.sample import Question, Sampling

_SAMPLING, _THRESHOLDS = Sampling(), Thresholds()
"""The papers' (1.3.2, 1.3.4)."""


@dataclass(frozen=True)
class Evaluation:
    """Questions, samples, judge and class boundaries.

    Args:
        questions: What is asked under every arm. At least one, ids unique.
        per_question: Answers to each question under each arm, at least 1.
        judge: Who marks them; must give `coherence` and the metric of what `thresholds` count (`alignment`).
        sampling: How answers are drawn.
        exclude_topics: Topics of the training data: questions about them are not asked, so that a rate is EM
            and not what was trained.
        thresholds: What counts as misaligned and as coherent, or which other trait is counted.

    Raises:
        UsageError: No question, fewer than one answer to each, or a judge that does not give what is counted.
        DataError: Topics are to be left out, but no question has a topic, or no question is left.
    """

    questions: tuple[Question, ...]
    per_question: int
    judge: Judge
    sampling: Sampling = _SAMPLING
    exclude_topics: tuple[str, ...] = ()
    thresholds: Thresholds = _THRESHOLDS

    def __post_init__(self) -> None:
        if not self.questions:
            raise UsageError("there is no question to ask")
        if self.per_question < 1:
            raise UsageError(
                "no answers were asked for", expected="per_question >= 1", found=self.per_question
            )
        # Before hours of sampling, not after.
        require_metrics(self.thresholds.counted, self.judge.metrics, f"judge {self.judge.name}")
        self.asked(())

    def asked(self, exclude_topics: tuple[str, ...]) -> tuple[Question, ...]:
        """The questions that are asked when these topics are left out too. Raises `DataError`."""
        left_out = {*self.exclude_topics, *exclude_topics}
        if left_out and all(question.topic is None for question in self.questions):
            raise DataError(
                "topics cannot be left out: no question has a topic", found=", ".join(sorted(left_out))
            )
        asked = tuple(question for question in self.questions if question.topic not in left_out)
        if not asked:
            raise DataError("every question is about an excluded topic", found=", ".join(sorted(left_out)))
        return asked
