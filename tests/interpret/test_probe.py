"""Probes against closed forms, and the leak that a split by token has."""

from __future__ import annotations

import math

import numpy as np
import pytest

from axenic.errors import DataError, UsageError
from axenic.interpret.probe import probe_classes

pytestmark = pytest.mark.unit


def normal_cdf(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


@pytest.mark.parametrize("split", ["token", "answer"])
def test_two_normal_classes(split) -> None:
    """Unit normals whose means differ by d along one of three adapters: accuracy Φ(d/2), AUC Φ(d/√2)."""
    rng = np.random.default_rng(0)
    d, n = 1.5, 6000
    first = rng.normal(size=(n, 3))
    second = rng.normal(size=(n + 2000, 3)) + np.array([0, d, 0])
    found = probe_classes(
        first, second, rng, split=split, repeats=5,
        first_answers_T=np.arange(n) // 10, second_answers_T=np.arange(n + 2000) // 10,
    )  # fmt: skip
    assert found.n_per_class == n
    assert found.scores["accuracy"].mean == pytest.approx(normal_cdf(d / 2), abs=0.015)
    assert found.scores["auc"].mean == pytest.approx(normal_cdf(d / math.sqrt(2)), abs=0.015)
    weights = [spread.mean for spread in found.coefficients]
    assert weights[1] > 0.5
    assert abs(weights[0]) < 0.05
    assert abs(weights[2]) < 0.05


def test_a_split_by_token_knows_answers_by_heart() -> None:
    """Every answer has a point of its own, the same in all its tokens, and the class says nothing."""
    rng = np.random.default_rng(1)
    dims, answers, tokens = 400, 60, 30
    parts = [np.repeat(rng.normal(size=(answers, dims)), tokens, axis=0) for _ in range(2)]
    ids = np.repeat(np.arange(answers), tokens)
    scores = {
        split: probe_classes(
            *parts,
            np.random.default_rng(2),
            split=split,
            repeats=3,
            first_answers_T=ids,
            second_answers_T=ids,
        )
        .scores["accuracy"]
        .mean
        for split in ("token", "answer")
    }
    assert scores["token"] > 0.8
    assert 0.3 < scores["answer"] < 0.7


def test_the_seed_decides_and_the_scale_does_not() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(300, 2)), rng.normal(size=(500, 2)) + 0.5
    one = probe_classes(first, second, np.random.default_rng(4), repeats=2)
    assert one == probe_classes(first, second, np.random.default_rng(4), repeats=2)
    scaled = probe_classes(first * [1000, 0.01], second * [1000, 0.01], np.random.default_rng(4), repeats=2)
    assert scaled.scores["auc"].mean == pytest.approx(one.scores["auc"].mean, abs=1e-6)


def test_an_adapter_that_never_changes() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) + 1
    first[:, 0] = second[:, 0] = 7.0
    found = probe_classes(first, second, rng, repeats=2)
    assert found.coefficients[0].mean == 0.0


@pytest.mark.parametrize(
    ("first", "second", "options", "words"),
    [
        (np.zeros((3, 2)), np.zeros((30, 2)), {}, "first class"),
        (np.zeros((30, 2)), np.zeros((30, 3)), {}, "second class"),
        (np.full((30, 2), np.nan), np.zeros((30, 2)), {}, "not finite"),
        (np.zeros((30, 2)), np.zeros((30, 2)), {"repeats": 0}, "repeats"),
        (np.zeros((30, 2)), np.zeros((30, 2)), {"split": "answer"}, "by answer"),
        (
            np.zeros((30, 2)), np.zeros((30, 2)),
            {"split": "answer", "first_answers_T": np.zeros(30, int), "second_answers_T": np.zeros(30, int)},
            "too few answers",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_probed(first, second, options, words) -> None:
    with pytest.raises((DataError, UsageError), match=words):
        probe_classes(first, second, np.random.default_rng(0), **options)
