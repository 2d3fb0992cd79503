"""What could be seen at all."""

from __future__ import annotations

import math

import numpy as np
import pytest

from axenic.errors import UsageError
from axenic.evaluate import minimum_detectable
from axenic.evaluate.quantiles import normal_quantile

pytestmark = pytest.mark.unit


def test_it_is_seen_in_four_of_five_simulations() -> None:
    n, base = 400, 0.05
    rise = minimum_detectable(n, 100 * base) / 100
    rng = np.random.default_rng(0)
    one, two = rng.binomial(n, base, 20_000) / n, rng.binomial(n, base + rise, 20_000) / n
    middle = (one + two) / 2
    seen = np.abs(two - one) > normal_quantile() * np.sqrt(2 * middle * (1 - middle) / n)
    assert seen.mean() == pytest.approx(0.8, abs=0.02)


def test_more_answers_see_less() -> None:
    rises = [minimum_detectable(n, 10) for n in (20, 40, 400, 4000)]
    assert rises == sorted(rises, reverse=True)
    assert minimum_detectable(400, 10, power=0.95) > minimum_detectable(400, 10)


def test_nothing_can_be_seen() -> None:
    assert minimum_detectable(2, 60) == math.inf
    assert minimum_detectable(100, 100) == math.inf


@pytest.mark.parametrize("wrong", [(0, 10, 0.8), (10, -1, 0.8), (10, 101, 0.8), (10, 10, 0.5), (10, 10, 1.0)])
def test_wrong_arguments(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError):
        minimum_detectable(wrong[0], wrong[1], power=wrong[2])
