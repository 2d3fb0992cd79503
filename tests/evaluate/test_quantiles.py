"""Quantiles and Wilson against independent values."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from axenic.evaluate.quantiles import normal_quantile, t_quantile, t_reach, wilson

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 8, 29, 999, 1000, 1001, 20_000])
def test_t_agrees_with_scipy(freedom: int) -> None:
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-8)
    assert t_quantile(freedom, 0.8) == pytest.approx(stats.t.ppf(0.9, freedom), rel=1e-8)


def test_t_needs_a_degree_of_freedom() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        t_quantile(0)


def test_wilson_solves_its_own_equation() -> None:
    z = normal_quantile()
    for share, n in ((0.155, 400.0), (0.5, 8.0), (0.01, 41.7)):
        for end in wilson(share, n):
            assert abs(share - end) == pytest.approx(z * math.sqrt(end * (1 - end) / n), rel=1e-9)


def test_wilson_as_in_the_papers_notes() -> None:
    # papers.md 1.3.5: 8.5-14.7 % for 11.25 %, 35-45 % for 40 %, 0.4-2.5 % for 1 %, n = 400.
    for percent, low, high in ((11.25, 8.5, 14.7), (40, 35, 45), (1, 0.4, 2.5)):
        ends = wilson(percent / 100, 400)
        assert (100 * ends[0], 100 * ends[1]) == pytest.approx(
            (low, high), abs=0.5 if percent == 40 else 0.06
        )


def test_wilson_at_the_ends_of_the_scale() -> None:
    low, high = wilson(0.0, 400)
    z = normal_quantile()
    assert low == 0
    assert high == pytest.approx(z * z / (400 + z * z))
    assert wilson(1.0, 400) == pytest.approx((1 - high, 1))


def test_the_reach_is_that_of_a_library() -> None:
    from scipy import stats

    values = [15.5, 9.75, 8.25, 8.25]
    low, high = stats.t.interval(0.95, len(values) - 1, loc=0.0, scale=stats.sem(values))
    assert (-t_reach(values), t_reach(values)) == pytest.approx((low, high), rel=1e-9)
