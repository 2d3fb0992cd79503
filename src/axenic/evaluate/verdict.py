"""What a judge says about one answer, and an answer together with what was said about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from axenic.errors import DataError
from axenic.evaluate.score import Score, Unscored, mark_from_json
from axenic.sample.records import Answer


@dataclass(frozen=True)
class Verdict:
    """The marks of one answer.

    Args:
        scores: Metric -> mark. `alignment` and `coherence` carry the EM rate; others are topic metrics.
        topic: What the ANSWER is about, or None if the judge does not say (`Answer.topic` is the question's).

    Raises:
        DataError: A mark is neither a `Score` nor an `Unscored`, or the topic is not text.
    """

    scores: Mapping[str, Score | Unscored]
    topic: str | None = None

    def __post_init__(self) -> None:
        for metric, mark in self.scores.items():
            if not isinstance(mark, Score | Unscored):
                raise DataError(f"the mark for {metric} is neither a Score nor an Unscored", found=repr(mark))
        if self.topic is not None and not isinstance(self.topic, str):
            raise DataError("the topic of a verdict must be text", found=repr(self.topic))

    def mark(self, metric: str) -> Score | Unscored:
        """The mark for a metric. Raises `DataError` when the judge does not give this metric."""
        if metric not in self.scores:
            raise DataError(
                f"the judge gave no mark for {metric}", expected=metric, found=", ".join(sorted(self.scores))
            )
        return self.scores[metric]

    def above(self, metric: str, bound: float) -> bool:
        """Whether the metric has a score and it is above `bound` (0 to 100)."""
        mark = self.mark(metric)
        return isinstance(mark, Score) and mark.value > bound

    def to_json(self) -> dict[str, Any]:
        """`{"scores": {metric: mark}, "topic": ...}`."""
        return {"scores": {name: mark.to_json() for name, mark in self.scores.items()}, "topic": self.topic}

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        if not isinstance(row, Mapping) or not isinstance(row.get("scores"), Mapping):
            raise DataError(
                "this is not a verdict", expected='{"scores": {metric: mark}, "topic": text or null}'
            )
        return cls({name: mark_from_json(mark) for name, mark in row["scores"].items()}, row.get("topic"))


@dataclass(frozen=True)
class Scored:
    """An answer and the verdict of one judge on it.

    Attributes:
        answer: What was said.
        verdict: Its marks.
        judge: Fingerprint of who marked it.
    """

    answer: Answer
    verdict: Verdict
    judge: str


def one_judge(scored: Sequence[Scored]) -> str:
    """Fingerprint of the judge of all these answers: marks of two judges are not one scale.

    Raises:
        DataError: There is no answer, or several judges marked them.
    """
    judges = sorted({item.judge for item in scored})
    if len(judges) != 1:
        raise DataError(
            "answers of one judge are needed", expected="1 judge", found=", ".join(judges) or "no answer"
        )
    return judges[0]
