"""Means over seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from scipy import stats

from axenic.errors import DataError, UsageError
from axenic.evaluate import Rates, Scored, Thresholds, combine_seeds, rate_answers
from axenic.evaluate.seeds import NO_SPREAD, ONE_SEED, OVER_SEEDS

pytestmark = pytest.mark.unit

FromCounts = Callable[[Sequence[int], Sequence[int]], list[Scored]]


@pytest.fixture
def seed_rates(from_counts: FromCounts) -> Callable[[int], Rates]:
    """Rates of one seed with so many EM answers of 400."""

    def rate(em: int) -> Rates:
        return rate_answers(from_counts([em // 8 + (q < em % 8) for q in range(8)], [50] * 8))

    return rate


def test_the_authors_four_seeds(seed_rates: Callable[[int], Rates]) -> None:
    # 15.5, 9.75, 8.25, 8.25 % (papers.md 1.3.5).
    combined = combine_seeds([seed_rates(em) for em in (62, 39, 33, 33)])
    percents = (15.5, 9.75, 8.25, 8.25)
    assert combined.em.percents == percents
    assert combined.em.percent == pytest.approx(10.4375)
    interval = stats.t.interval(0.95, 3, loc=10.4375, scale=stats.sem(percents))
    assert (combined.em.low, combined.em.high) == pytest.approx(interval)
    assert (combined.n_seeds, combined.em.method) == (4, OVER_SEEDS)
    assert combined.coherent.percents == (100,) * 4
    assert combined.coherent.method == NO_SPREAD
    assert combined.coherent.low < 100
    assert json.loads(json.dumps(combined.to_json()))["em"]["percents"] == list(percents)


def test_the_interval_stays_on_the_scale(seed_rates: Callable[[int], Rates]) -> None:
    combined = combine_seeds([seed_rates(0), seed_rates(40)])
    assert combined.em.low == 0
    assert combined.em.high <= 100


def test_one_seed_keeps_its_own_interval_and_says_so(seed_rates: Callable[[int], Rates]) -> None:
    one = seed_rates(62)
    combined = combine_seeds([one])
    assert (combined.em.low, combined.em.high) == (one.em_all.low, one.em_all.high)
    assert combined.em.method == ONE_SEED


def test_seeds_that_agree_are_not_certain(seed_rates: Callable[[int], Rates]) -> None:
    combined = combine_seeds([seed_rates(0)] * 3)
    assert combined.em.percent == combined.em.low == 0
    assert combined.em.high > 1


def test_seeds_must_be_comparable(seed_rates: Callable[[int], Rates], from_counts: FromCounts) -> None:
    with pytest.raises(DataError, match="no seed"):
        combine_seeds([])
    with pytest.raises(DataError, match="same questions"):
        combine_seeds([seed_rates(3), rate_answers(from_counts([1], [50]))])
    other = rate_answers(from_counts([1] * 8, [50] * 8), thresholds=Thresholds(coherence=40))
    with pytest.raises(UsageError, match="differently"):
        combine_seeds([seed_rates(3), other])
