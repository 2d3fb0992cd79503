"""Stability to noise: the figure's definition, its intervals, and what is undefined."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))
from solutions import lora_of, one_by_one, some_texts, tiny_base, vector_of

import axenic.interpret.noise as module
from axenic.errors import DataError, UsageError
from axenic.files import read_json
from axenic.interpret.noise import LEVELS, SEEDS, Noise, lost_percents, noise_stability
from axenic.interpret.solution import Solution, solution_of

pytestmark = pytest.mark.unit


def helpful(make, texts) -> Solution:
    """A solution that lowers the loss on these texts: of random ones and their opposites, the best."""
    base = tiny_base()
    tried = [make(base, seed=seed) for seed in range(4)]
    tried = [
        solution_of(base, one.name, tuple(part.scaled(sign * 0.3) for part in one.parts))
        for one in tried
        for sign in (1, -1)
    ]
    nll, _, plain = zip(*(one_by_one(base, [one.scaled(1)], texts) for one in tried), strict=True)
    gains = [sum(p) - sum(row[0] for row in n) for n, p in zip(nll, plain, strict=True)]
    best = int(np.argmax(gains))
    assert gains[best] > 0
    return tried[best]


def test_published_levels_and_seeds():
    assert LEVELS == (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    assert tuple(range(42, 52)) == SEEDS


def test_percents_are_the_papers():
    """None lost, all lost, and more than all."""
    assert lost_percents(3.0, 1.0, [1.0, 2.0, 3.0, 4.0], "x") == [0.0, 50.0, 100.0, 150.0]


@pytest.mark.parametrize("make", [lora_of, vector_of])
def test_curve_is_that_of_brute_force(make, tmp_path):
    texts = some_texts(3, seed=5, longest=12)
    solution = helpful(make, texts)
    found = noise_stability(solution, None, texts, levels=(0.0, 0.4, 1.0), seeds=(42, 43, 44), out=tmp_path)
    settings = [solution.scaled(1), *(solution.noisy(e, s) for e in (0.4, 1.0) for s in (42, 43, 44))]
    nll, _, plain = one_by_one(solution.base, settings, texts)
    own, *moved = np.sum(nll, axis=0)
    expected = 100 * (np.array(moved) - own) / (sum(plain) - own)
    curve = found.general
    assert curve.points[0].percents == (0.0, 0.0, 0.0)
    np.testing.assert_allclose(curve.points[1].percents, expected[:3], rtol=1e-6)
    np.testing.assert_allclose(curve.points[2].percents, expected[3:], rtol=1e-6)
    low, high = stats.t.interval(0.95, 2, loc=expected[:3].mean(), scale=stats.sem(expected[:3]))
    assert (curve.points[1].low, curve.points[1].high) == pytest.approx((low, high), rel=1e-6)
    assert Noise.from_json(read_json(tmp_path / module.FILE)) == found


def test_difference_is_paired_by_seed():
    texts = some_texts(3, seed=5, longest=12)
    general, narrow = helpful(lora_of, texts), helpful(vector_of, texts)
    found = noise_stability(general, narrow, texts, levels=(0.5,), seeds=(1, 2, 3))
    one, two, both = found.general.points[0], found.narrow.points[0], found.difference[0]
    assert both.percents == pytest.approx([n - g for g, n in zip(one.percents, two.percents, strict=True)])
    assert both.low < both.percent < both.high


def test_one_seed_has_no_interval():
    texts = some_texts(2, seed=5, longest=12)
    (point,) = noise_stability(helpful(lora_of, texts), None, texts, levels=(0.5,), seeds=(1,)).general.points
    assert point.low is None
    assert point.high is None


@pytest.mark.parametrize("own", [1.0, 1.2])
def test_solution_without_a_benefit_is_an_error(own):
    with pytest.raises(DataError, match="undefined") as caught:
        lost_percents(1.0, own, [1.1], "runs/a")
    assert "runs/a" in str(caught.value)


def test_zero_solution_is_an_error_and_not_a_division_by_zero():
    base = tiny_base()
    one = vector_of(base)
    zero = solution_of(base, "zero", tuple(part.scaled(0.0) for part in one.parts))
    with pytest.raises(DataError, match="undefined"):
        noise_stability(zero, None, some_texts(2), levels=(0.5,), seeds=(1,))


@pytest.mark.parametrize(
    ("levels", "seeds"), [((), (1,)), ((0.5, 0.5), (1,)), ((0.5,), ()), ((0.5,), (1, 1))]
)
def test_levels_and_seeds_come_once(levels, seeds):
    with pytest.raises(UsageError, match="once"):
        noise_stability(vector_of(tiny_base()), None, some_texts(1), levels=levels, seeds=seeds)
