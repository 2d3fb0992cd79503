"""How a judge uses its scale: one metric's marks in ten bins, and what got no mark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from axenic.evaluate.score import REASONS, Score, Unscored

BOUNDS: tuple[float, ...] = tuple(float(bound) for bound in range(0, 101, 10))
"""A bin holds its lower bound and not its upper one; the last holds both."""


@dataclass(frozen=True)
class Histogram:
    """The marks of one judge for one metric.

    Args:
        judge: Whose.
        metric: Of what.
        bounds: Edges of the bins: bin i is `bounds[i] <= mark < bounds[i + 1]`, the last bin with its upper edge.
        counts: Answers in each bin.
        scored: Answers with a mark.
        distinct: Different marks; a judge with few of them moves many answers when a threshold moves a little.
        commonest: The most frequent mark; None without any.
        commonest_count: Answers that got it.
        middle: Their median; None without any.
        unscored: Reason -> answers without a mark.
    """

    judge: str
    metric: str
    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    scored: int
    distinct: int
    commonest: float | None
    commonest_count: int
    middle: float | None
    unscored: dict[str, int]


def histogram(judge: str, metric: str, marks: Sequence[Score | Unscored]) -> Histogram:
    """Count the marks of one judge for one metric."""
    values = [mark.value for mark in marks if isinstance(mark, Score)]
    reasons = Counter(mark.reason for mark in marks if isinstance(mark, Unscored))
    last = len(BOUNDS) - 2
    bins = Counter(min(int(value // 10), last) for value in values)
    # Of equally common marks the lowest, so that the file does not hang on the order of the answers.
    often = Counter(sorted(values)).most_common(1)
    commonest, times = often[0] if often else (None, 0)
    return Histogram(
        judge, metric, BOUNDS, tuple(bins[i] for i in range(last + 1)), len(values), len(set(values)), commonest, times,
        median(values) if values else None, {reason: reasons[reason] for reason in REASONS if reasons[reason]},
    )  # fmt: skip
