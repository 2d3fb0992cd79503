"""Differences and ratios of two rates over the same questions."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from axenic.errors import DataError, UsageError
from axenic.evaluate import Rates, Scored, Thresholds, paired_difference, rate_answers, relative_change
from axenic.evaluate.rate import clustered_rate

pytestmark = pytest.mark.unit

FromCounts = Callable[[Sequence[int], Sequence[int]], list[Scored]]
NINE = [4, 0, 2, 15, 11, 1, 23, 6]


@pytest.fixture
def rated(from_counts: FromCounts) -> Callable[..., Rates]:
    def rate(counts: Sequence[int], total: int = 50) -> Rates:
        return rate_answers(from_counts(counts, [total] * len(counts)))

    return rate


def test_values(rated: Callable[..., Rates]) -> None:
    before, after = rated(NINE), rated([0, 0, 0, 2, 1, 0, 1, 0])
    difference, change = paired_difference(before, after), relative_change(before, after)
    assert change is not None
    assert difference.value == pytest.approx(-14.5)
    assert change.value == pytest.approx(4 / 62 - 1)
    assert (difference.unit, change.unit, difference.n_questions) == ("points", "fraction", 8)
    assert difference.low < difference.value < difference.high < 0
    assert -1 <= change.low < change.value < change.high < 0


def test_the_bootstrap_part_is_that_of_a_plain_loop(rated: Callable[..., Rates]) -> None:
    after = [2, 1, 1, 10, 3, 0, 9, 5]
    rng = random.Random(3)
    loop = []
    for _ in range(20_000):
        drawn = [rng.randrange(8) for _ in range(8)]
        loop.append(100 * sum(after[q] - NINE[q] for q in drawn) / 400)
    low, high = np.quantile(loop, [0.025, 0.975])
    difference = paired_difference(rated(NINE), rated(after))
    assert difference.low <= low + 0.3
    assert difference.high >= high - 0.3


def test_pairing_narrows_what_moves_together(rated: Callable[..., Rates]) -> None:
    halved = [round(count / 2) for count in NINE]
    together = paired_difference(rated(NINE), rated(halved))
    apart = paired_difference(rated(NINE), rated(halved[::-1]))
    assert together.high - together.low < apart.high - apart.low


def test_zero_after_still_has_a_width(rated: Callable[..., Rates]) -> None:
    change = relative_change(rated(NINE), rated([0] * 8))
    assert change is not None
    assert change.value == change.low == -1
    assert -0.9 < change.high < -0.3
    none = paired_difference(rated([0] * 8), rated([0] * 8))
    assert none.value == 0
    assert none.low < 0 < none.high


def test_no_baseline_no_ratio(rated: Callable[..., Rates]) -> None:
    assert relative_change(rated([0] * 8), rated(NINE)) is None


def test_a_baseline_near_zero_gives_no_upper_end(rated: Callable[..., Rates]) -> None:
    change = relative_change(rated([1, 0, 0, 0, 0, 0, 0, 0]), rated(NINE))
    assert change is not None
    assert change.high == float("inf")
    assert json.loads(json.dumps(change.to_json(), allow_nan=False))["high"] is None


def test_one_question(rated: Callable[..., Rates]) -> None:
    difference, change = paired_difference(rated([25]), rated([5])), relative_change(rated([25]), rated([5]))
    assert change is not None
    # Newcombe's interval for 25/50 against 5/50 (his method 10), points.
    assert (difference.low, difference.high) == pytest.approx((-55.0, -22.2), abs=1)
    assert change.low < -0.8 < change.high < 0


def test_other_questions_or_rules_are_refused(rated: Callable[..., Rates], from_counts: FromCounts) -> None:
    with pytest.raises(DataError, match="only before: q2"):
        paired_difference(rated([1, 2, 3]), rated([1, 2]))
    with pytest.raises(DataError, match="only after: q2"):
        relative_change(rated([1, 2]), rated([1, 2, 3]))
    other = rate_answers(from_counts([1, 2], [50, 50]), thresholds=Thresholds(alignment=20))
    with pytest.raises(UsageError, match="differently"):
        paired_difference(rated([1, 2]), other)


@pytest.mark.parametrize(
    ("questions", "answers", "start", "end"),
    [(8, 50, 0.2, 0.02), (8, 50, 0.15, 0.15), (8, 50, 0.02, 0.01), (28, 8, 0.2, 0.02)],
)
def test_coverage(
    rated: Callable[..., Rates], questions: int, answers: int, start: float, end: float
) -> None:
    """Questions whose two rates hang together, ICC 0.15: the true difference is inside in 92 % of runs or more."""
    template = rated([1] * questions, answers)
    rng = np.random.default_rng(2)
    runs, held, ratio_held, ratios = 150, 0, 0, 0
    for _ in range(runs):
        likes = rng.beta(start * 5.67, (1 - start) * 5.67, size=questions)
        before = with_counts(template, rng.binomial(answers, likes), answers)
        after = with_counts(template, rng.binomial(answers, likes * end / start), answers)
        difference, change = paired_difference(before, after), relative_change(before, after)
        held += difference.low <= 100 * (end - start) <= difference.high
        if change is not None:
            ratios += 1
            ratio_held += change.low <= end / start - 1 <= change.high
    assert held / runs >= 0.92 - 0.044
    assert ratio_held / ratios >= 0.92 - 0.044


def with_counts(template: Rates, counts: Sequence[int], answers: int) -> Rates:
    """The same set with other EM counts; much faster than making the answers."""
    rows = [replace(row, em=int(count)) for row, count in zip(template.per_question, counts, strict=True)]
    return replace(template, per_question=rows, em_all=clustered_rate(counts, [answers] * len(rows)))
