"""The vectorised bootstrap against one that draws question by question."""

from __future__ import annotations

import random

import numpy as np
import pytest

from axenic.evaluate import bootstrap
from axenic.evaluate.bootstrap import percentile_interval, resample_sums

pytestmark = pytest.mark.unit

COUNTS = [(4, 50), (0, 50), (2, 40), (15, 50), (11, 60), (1, 50), (23, 50), (6, 50)]


def test_the_quantiles_are_those_of_a_plain_loop() -> None:
    rng = random.Random(5)
    loop = []
    for _ in range(20_000):
        drawn = [rng.choice(COUNTS) for _ in COUNTS]
        loop.append(sum(hits for hits, _ in drawn) / sum(total for _, total in drawn))
    sums = resample_sums(COUNTS, seed=1, resamples=20_000)
    ratios = sums[:, 0] / sums[:, 1]
    assert percentile_interval(ratios) == pytest.approx(tuple(np.quantile(loop, [0.025, 0.975])), abs=0.006)
    assert ratios.std() == pytest.approx(np.std(loop), rel=0.03)


def test_the_seed_decides() -> None:
    one = resample_sums(COUNTS, seed=3)
    assert (one == resample_sums(COUNTS, seed=3)).all()
    assert (one != resample_sums(COUNTS, seed=4)).any()


def test_columns_see_the_same_draws_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = resample_sums(np.asarray(COUNTS)[:, :1], seed=3, resamples=50)
    both = resample_sums(COUNTS, seed=3, resamples=50)
    assert (alone[:, 0] == both[:, 0]).all()
    monkeypatch.setattr(bootstrap, "_BLOCK_CELLS", 24)
    assert (resample_sums(COUNTS, seed=3, resamples=50) == both).all()


def test_a_resample_holds_as_many_questions_as_there_are() -> None:
    sums = resample_sums([[1, 7]] * 5, seed=0, resamples=20)
    assert (sums == [5, 35]).all()


def test_undefined_values_are_left_out_and_infinite_ones_kept() -> None:
    values = np.array([np.nan] * 10 + [1.0] * 90 + [np.inf] * 10)
    assert percentile_interval(values) == (1.0, np.inf)
    with pytest.raises(ValueError, match="no resample"):
        percentile_interval(np.array([np.nan]))
