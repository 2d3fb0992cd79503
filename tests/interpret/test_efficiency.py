"""Efficiency of solutions whose loss over scale is known."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from solutions import lora_of, some_texts, tiny_base, vector_of

import axenic.interpret.efficiency as module
from axenic.errors import UsageError
from axenic.files import read_json
from axenic.interpret.efficiency import Efficiency, compare_efficiency
from axenic.interpret.settings import measure
from axenic.interpret.settingsums import Measured

pytestmark = pytest.mark.unit


@pytest.fixture
def parabola(monkeypatch):
    """In the place of `measure`: text n of 10 tokens has loss 10·(depth + (norm - best)²) + n at each norm."""

    def plant(best: dict[str, tuple[float, float]], power: int = 2):
        def pretend(solution, settings, texts, **given):
            at, depth = best[solution.name]
            n = np.arange(len(texts))[:, None]
            norms = np.array([setting.norm for setting in settings])
            nll = 10 * (depth + np.abs(norms - at) ** power) + n
            base = 10 * (depth + at**power) + n[:, 0]
            tokens = np.full(len(texts), 10)
            return Measured(nll, base, tokens, None, tokens)

        monkeypatch.setattr(module, "measure", pretend)

    return plant


def pair():
    base = tiny_base()
    one, two = vector_of(base, seed=1), vector_of(base, seed=2)
    return replace(one, name="general"), replace(two, name="narrow")


def test_optimum_of_a_parabola_is_found_exactly(parabola):
    general, narrow = pair()
    at = {"general": (0.83 * general.norm, 1.0), "narrow": (1.27 * narrow.norm, 1.5)}
    parabola(at)
    found = compare_efficiency(general, narrow, some_texts(4))
    for curve in (found.general, found.narrow):
        best, depth = at[curve.solution]
        assert curve.inside
        assert curve.best.norm == pytest.approx(best, rel=1e-9)
        assert curve.best.loss.value == pytest.approx(depth + 0.15)  # mean of n / 10
        assert [point.factor for point in curve.points] == pytest.approx(np.arange(21) / 10)
        assert curve.points[0].loss == curve.base_loss
        assert curve.points[0].loss_per_square is None
        last = curve.points[-1]
        assert last.loss_per_square == pytest.approx(last.loss.value / last.norm**2)
    assert found.at_optimum.difference.value == pytest.approx(-0.5)
    assert found.at_optimum.difference.high == pytest.approx(-0.5)


def test_optimum_of_another_curve_is_near(parabola):
    general, _ = pair()
    parabola({"general": (0.83 * general.norm, 1.0)}, power=4)
    found = compare_efficiency(general, None, some_texts(2))
    assert found.general.best.factor == pytest.approx(0.83, abs=0.01)
    assert found.narrow is None
    assert found.equal == ()


def test_optimum_at_the_end_of_the_grid_is_said(parabola):
    general, _ = pair()
    parabola({"general": (3 * general.norm, 1.0)})
    found = compare_efficiency(general, None, some_texts(2))
    assert not found.general.inside
    assert found.general.best.factor == 2.0


def test_equal_norms_are_shares_of_the_mean(parabola):
    general, narrow = pair()
    parabola({"general": (1.0, 1.0), "narrow": (1.0, 1.5)})
    found = compare_efficiency(general, narrow, some_texts(3))
    mean = (general.norm + narrow.norm) / 2
    assert [point.percent for point in found.equal] == list(range(20, 201, 20))
    for point in found.equal:
        assert point.general_norm == pytest.approx(point.percent / 100 * mean)
        assert point.narrow_norm == pytest.approx(point.general_norm)
        assert point.difference.value == pytest.approx(-0.5)


def test_measured_losses_are_those_of_measure_and_come_back_from_the_file(tmp_path):
    base = tiny_base()
    general, narrow = lora_of(base, seed=1), vector_of(base, seed=2)
    texts = some_texts(3, longest=15)
    found = compare_efficiency(general, narrow, texts, factors=(0, 0.5, 1, 1.5), out=tmp_path)
    assert Efficiency.from_json(read_json(tmp_path / module.FILE)) == found
    sums = measure(narrow, [narrow.scaled(0.5)], texts, kl=False)
    assert found.narrow.points[1].loss.value == pytest.approx(sums.nll_NK.sum() / sums.tokens_N.sum())
    assert found.tokens == sums.tokens_N.sum()
    assert min(point.loss.value for point in found.general.points) >= found.general.best.loss.value


def test_too_few_factors_and_other_bases_are_refused():
    general, _ = pair()
    for factors in ((0, 1), (0, 1, 1)):
        with pytest.raises(UsageError, match="factors"):
            compare_efficiency(general, None, some_texts(1), factors=factors)
    other = vector_of(tiny_base("llama"), seed=1)
    with pytest.raises(UsageError, match="two base models"):
        compare_efficiency(general, other, some_texts(1))
