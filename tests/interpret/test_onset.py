"""The onset: known curves, curves without one, and the bootstrap's honesty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axenic.errors import DataError
from axenic.interpret.onset import find_onset, rolling_average

pytestmark = pytest.mark.unit

STEPS = tuple(range(0, 120, 5))


def draw(rates_S, seed, questions=32, each=1):
    """Answers to questions that differ: `[Q, S]` counts and totals."""
    rng = np.random.default_rng(seed)
    tilt_Q1 = rng.uniform(0.3, 1.7, (questions, 1))
    share_QS = np.clip(np.asarray(rates_S) * tilt_Q1, 0, 1)
    totals_QS = np.full(share_QS.shape, each)
    return rng.binomial(each, share_QS), totals_QS


def logistic(at, height=0.5, slope=0.4):
    return height / (1 + np.exp(-slope * (np.array(STEPS) - at)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.sampled_from([1, 3, 5]))
def test_rolling_average_is_the_mean_of_what_is_near(values, window):
    reach = window // 2
    expected = [np.mean(values[max(0, i - reach) : i + reach + 1]) for i in range(len(values))]
    np.testing.assert_allclose(rolling_average(values, window), expected, atol=1e-9)


@pytest.mark.parametrize("at", [25, 50, 80])
def test_a_step_is_found_where_it_is(at):
    found = find_onset(STEPS, *draw(logistic(at), seed=at))
    assert abs(found.step - at) <= 5
    assert found.low <= found.step <= found.high
    assert found.high - found.low <= 20


def test_a_rise_that_falls_again_counts():
    """x 20: misaligned, then broken (papers.md 2c row 22)."""
    rates = logistic(30) * (1 - logistic(80, height=1.0))
    found = find_onset(STEPS, *draw(rates, seed=1))
    assert abs(found.step - 30) <= 10
    assert found.peak < 80


def test_by_hand():
    counts = np.tile([0, 0, 0, 1, 1, 1], (40, 1))
    found = find_onset([0, 1, 2, 3, 4, 5], counts, np.ones((40, 6)))
    # Rolling 0, 0, 1/3, 2/3, 1, 1: half of 1 is first reached at step 3, whatever questions are drawn; it may have
    # come at any time after step 2.
    assert (found.step, found.low, found.high, found.peak) == (3, 2, 3, 4)


def test_constant_curves_have_no_onset():
    called = sum(
        find_onset(STEPS, *draw(np.full(len(STEPS), rate), seed)) is not None
        for rate in (0.05, 0.2)
        for seed in range(30)
    )
    # At most CHANCE of 60 = 1.5 expected; 6 or more would have a chance below 1 %.
    assert called < 6


@pytest.mark.parametrize("rates", [np.zeros(len(STEPS)), logistic(50)[::-1]])
def test_nothing_and_a_fall_have_none(rates):
    assert find_onset(STEPS, *draw(rates, seed=0)) is None


def test_one_question_alone_is_no_evidence():
    counts = np.zeros((30, 24))
    counts[7, 12:] = 1
    assert find_onset(STEPS, counts, np.ones((30, 24))) is None


def test_the_interval_holds_the_true_half_way_step():
    inside = 0
    for seed in range(20):
        found = find_onset(STEPS, *draw(logistic(50), seed=seed))
        inside += found.low <= 50 <= found.high
    assert inside >= 16  # 95 % of 20 are 19; fewer than 16 have a chance of 3 in 1,000


@pytest.mark.parametrize(
    ("counts", "totals"),
    [
        (np.zeros((3, 23)), np.ones((3, 23))),
        (np.zeros((3, 24)), np.zeros((3, 24))),
        (np.zeros(24), np.ones(24)),
    ],
)
def test_what_cannot_be_counted(counts, totals):
    with pytest.raises(DataError):
        find_onset(STEPS, counts, totals)
