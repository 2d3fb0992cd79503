"""Means over texts: their values, and paired intervals."""

from __future__ import annotations

import numpy as np
import pytest

from axenic.interpret.textmean import text_means

pytestmark = pytest.mark.unit


def test_every_token_has_the_same_weight():
    (mean,) = text_means([[6.0], [1.0]], [2, 8])
    assert mean.value == pytest.approx(0.7)
    assert mean.low <= mean.value <= mean.high


def test_one_text_has_no_interval():
    (mean,) = text_means([[6.0]], [2])
    assert (mean.value, mean.low, mean.high) == (3.0, None, None)


def test_interval_is_that_of_the_normal_law_where_there_are_many_texts():
    rng = np.random.default_rng(0)
    losses = rng.normal(2.0, 0.5, 4000)
    (mean,) = text_means(losses[:, None], np.ones(4000))
    reach = 1.96 * losses.std() / np.sqrt(4000)
    assert mean.high - mean.low == pytest.approx(2 * reach, rel=0.1)


def test_difference_is_paired():
    """Texts that differ by far more than the two settings do: only the paired interval is short."""
    rng = np.random.default_rng(1)
    one = rng.normal(100.0, 30.0, (50, 1))
    other = one + 0.1
    tokens = np.full(50, 10)
    (difference,) = text_means(other, tokens, minus_NK=one)
    assert difference.value == pytest.approx(0.01)
    assert difference.low == pytest.approx(0.01)
    assert difference.high == pytest.approx(0.01)
    (alone,) = text_means(one, tokens)
    assert alone.high - alone.low > 1
