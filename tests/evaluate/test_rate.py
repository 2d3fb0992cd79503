"""One rate: closed forms, the ends of the scale, and coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axenic.evaluate.bootstrap import percentile_interval, resample_sums
from axenic.evaluate.quantiles import normal_quantile, wilson
from axenic.evaluate.rate import (
    NO_ANSWER,
    ONE_QUESTION,
    PRIOR_ICC,
    PRIOR_WEIGHT,
    clustered_rate,
    effective_n,
)

pytestmark = pytest.mark.unit


def test_identical_questions_are_as_good_as_independent_answers() -> None:
    # No variance between questions: the measured ICC is 0 and only the assumption, with its weight, is left.
    weight = 80 / (80 + PRIOR_WEIGHT)
    assert effective_n([10] * 8, [50] * 8) == pytest.approx(400 / (1 + 49 * (1 - weight) * PRIOR_ICC))


def test_questions_that_are_all_or_nothing_count_as_one_answer_each() -> None:
    # 4 of 8 questions wholly EM: ICC = 1 up to the (Q / (Q - 1)) correction, which is cut off at 1.
    weight = 200 / (200 + PRIOR_WEIGHT)
    icc = weight + (1 - weight) * PRIOR_ICC
    assert effective_n([50, 0] * 4, [50] * 8) == pytest.approx(400 / (1 + 49 * icc))


def test_the_authors_nine_adapter_run() -> None:
    # Ratio of between-question to binomial variance, by hand, from the counts of papers.md 5.4.
    counts = np.array([4, 0, 2, 15, 11, 1, 23, 6])
    share = counts.sum() / 400
    ratio = 8 / 7 * ((counts - 50 * share) ** 2).sum() / 400**2 / (share * (1 - share) / 400)
    assert ratio == pytest.approx(9.85, abs=0.01)
    weight = 62 / (62 + PRIOR_WEIGHT)
    icc = weight * (ratio - 1) / 49 + (1 - weight) * PRIOR_ICC
    rate = clustered_rate(counts, [50] * 8)
    assert rate.effective_n == pytest.approx(400 / (1 + 49 * icc))
    assert (rate.count, rate.n, rate.percent) == (62, 400, 15.5)
    # Far wider than the 12-19 % that 400 independent answers would have.
    assert rate.low < 8
    assert rate.high > 25


def test_one_answer_per_question_needs_no_correction() -> None:
    assert effective_n([1, 0, 0, 1], [1, 1, 1, 1]) == 4


def test_no_misaligned_answer_is_not_certainty() -> None:
    rate = clustered_rate([0] * 8, [50] * 8)
    assert rate.low == 0
    n = 400 / (1 + 49 * PRIOR_ICC)
    z = normal_quantile()
    assert rate.high == pytest.approx(100 * z * z / (n + z * z))
    mirrored = clustered_rate([50] * 8, [50] * 8)
    assert (mirrored.low, mirrored.high) == pytest.approx((100 - rate.high, 100))


def test_more_answers_to_the_same_questions_help_less_than_more_questions() -> None:
    few = clustered_rate([0] * 8, [50] * 8).high
    assert clustered_rate([0] * 80, [5] * 80).high < clustered_rate([0] * 8, [500] * 8).high < few


def test_one_question_falls_back_to_wilson_and_says_so() -> None:
    rate = clustered_rate([5], [50])
    assert (rate.low / 100, rate.high / 100) == pytest.approx(wilson(0.1, 50))
    assert (rate.method, rate.effective_n) == (ONE_QUESTION, 50)


def test_nothing_to_count() -> None:
    rate = clustered_rate([], [])
    assert (rate.count, rate.n, rate.low, rate.high, rate.method) == (0, 0, 0, 100, NO_ANSWER)
    # Questions without an answer are as if they were not there.
    assert clustered_rate([5, 0], [50, 0]) == clustered_rate([5], [50])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12))
def test_every_interval_holds_its_rate_and_stays_on_the_scale(pairs: list[tuple[int, int]]) -> None:
    counts = [min(pair) for pair in pairs]
    totals = [max(pair) for pair in pairs]
    rate = clustered_rate(counts, totals)
    assert 0 <= rate.low <= rate.percent <= rate.high <= 100
    assert math.isfinite(rate.effective_n)
    assert 0 <= rate.effective_n <= rate.n
    if rate.n:
        assert rate.high > rate.low


@pytest.mark.parametrize(
    ("questions", "answers", "share", "icc"),
    [
        (8, 50, 0.01, 0.15),
        (8, 50, 0.05, 0.3),
        (8, 50, 0.15, 0.15),
        (8, 50, 0.15, 0.3),
        (8, 50, 0.4, 0.15),
        (8, 10, 0.15, 0.0),
        (56, 4, 0.01, 0.15),
        (56, 4, 0.05, 0.3),
        (56, 4, 0.15, 0.15),
        (3, 50, 0.15, 0.15),
    ],
)
def test_coverage(questions: int, answers: int, share: float, icc: float) -> None:
    """Beta-binomial answers: the interval holds the true rate in 92 % of runs or more (nominal 95 %)."""
    rng = np.random.default_rng(11)
    runs = 500 if questions < 50 else 200
    held, bootstrap_held = 0, 0
    for _ in range(runs):
        likes = np.full(questions, share)
        if icc:
            likes = rng.beta(share * (1 / icc - 1), (1 - share) * (1 / icc - 1), size=questions)
        counts = rng.binomial(answers, likes)
        rate = clustered_rate(counts, [answers] * questions)
        held += rate.low <= 100 * share <= rate.high
        if (questions, share, icc) == (8, 0.01, 0.15):
            low, high = percentile_interval(resample_sums(counts[:, None], 0)[:, 0] / (answers * questions))
            bootstrap_held += low <= share <= high
    assert held / runs >= 0.92 - 2 * math.sqrt(0.92 * 0.08 / runs)
    # Why the bootstrap does not stand alone.
    assert bootstrap_held / runs < 0.7
