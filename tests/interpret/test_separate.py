"""Probe directions against other libraries and against full D x D algebra."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from axenic.errors import UsageError
from axenic.evaluate import Score, Scored, Verdict
from axenic.interpret import extract_direction
from axenic.interpret.means import Means
from axenic.interpret.separate import discriminant, fit_direction, held_out_auc
from axenic.interpret.sides import Side

pytestmark = pytest.mark.unit


def cloud(n, d, *, shift, seed=0):
    """Two classes with a shared, very uneven covariance; the second is moved by `shift` along axis 0."""
    rng = np.random.default_rng(seed)
    spread = np.geomspace(4.0, 0.1, d)
    bad, good = (rng.standard_normal((n, d)) * spread for _ in range(2))
    bad[:, 0] += shift
    bad[:, -1] += 0.2
    return bad, good


def side(points_ND, count_N=None):
    """A side whose single layer holds these points."""
    x = torch.from_numpy(points_ND)
    n = len(x)
    count = torch.ones(n).double() if count_N is None else torch.as_tensor(count_N).double()
    means = Means(
        (x * count[:, None])[:, None], count, torch.ones(n, 1).double(), count.long(), torch.ones(n).long(),
        (0,), "resid_post", "token", "answer",
    )  # fmt: skip
    return Side(means, (tuple(range(0, n, 2)), tuple(range(1, n, 2))))


def cosine(a, b):
    a, b = np.ravel(a), np.ravel(b)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("d", [8, 60])
def test_discriminant_is_that_of_the_full_matrix(d):
    bad, good = cloud(20, d, shift=3.0)
    x, y = np.concatenate([bad, good]), np.repeat([1.0, 0.0], 20)
    within = np.concatenate([bad - bad.mean(0), good - good.mean(0)])
    shrunk, _ = ledoit_wolf(within, assume_centered=True)
    expected = np.linalg.solve(shrunk, bad.mean(0) - good.mean(0))
    found = discriminant(*(torch.from_numpy(v) for v in (x, y, np.ones(40))))
    assert np.allclose(found.numpy(), expected, rtol=1e-8)


@pytest.mark.parametrize("d", [8, 60])
@pytest.mark.parametrize("weighted", [False, True])
def test_logistic_is_that_of_all_coordinates(d, weighted):
    bad, good = cloud(25, d, shift=2.0)
    counts = np.arange(1, 26) if weighted else np.ones(25)
    x, y, w = np.concatenate([bad, good]), np.repeat([1, 0], 25), np.concatenate([counts, np.ones(25)])
    w = w / w.mean()
    centred = x - np.average(x, axis=0, weights=w)
    scaled = centred / np.sqrt((w[:, None] * centred**2).mean())
    model = LogisticRegression(C=1.0, tol=1e-10, max_iter=100_000).fit(scaled, y, sample_weight=w)
    assert cosine(fit_direction("logistic", side(bad, counts), side(good)), model.coef_) > 1 - 1e-8


def test_pca_is_the_first_component():
    bad, good = cloud(30, 12, shift=6.0)
    found = fit_direction("pca", side(bad), side(good))
    expected = PCA(1, svd_solver="full").fit(np.concatenate([bad, good])).components_
    assert abs(cosine(found, expected)) > 1 - 1e-10


@pytest.mark.parametrize("method", ["mean", "logistic", "lda", "pca"])
def test_all_point_toward_the_first_side_and_reach_as_far_as_the_sides_lie_apart(method):
    bad, good = cloud(40, 10, shift=5.0)
    difference = bad.mean(0) - good.mean(0)
    found = fit_direction(method, side(bad), side(good))[0].numpy()
    unit = found / np.linalg.norm(found)
    assert unit @ difference > 0
    assert np.linalg.norm(found) == pytest.approx(unit @ difference)
    assert np.allclose(fit_direction(method, side(good), side(bad))[0].numpy(), -found)


@pytest.mark.parametrize("method", ["mean", "pca"])
def test_a_point_of_weight_three_is_three_points(method):
    bad, good = cloud(12, 6, shift=2.0)
    weights = np.array([3, 1] * 6)
    found = fit_direction(method, side(bad, weights), side(good))
    assert np.allclose(found, fit_direction(method, side(np.repeat(bad, weights, axis=0)), side(good)))


def test_weights_of_lda_among_many_points_are_those_of_the_covariance():
    bad, good = cloud(4000, 5, shift=2.0)
    weights = np.array([5, 1, 1, 1] * 1000)
    mean = np.average(bad, axis=0, weights=weights)
    within = np.concatenate([bad - mean, good - good.mean(0)])
    spread = np.cov(within.T, aweights=np.concatenate([weights, np.ones(4000)]), ddof=0)
    expected = np.linalg.solve(spread, mean - good.mean(0))
    assert cosine(fit_direction("lda", side(bad, weights), side(good)), expected) > 0.9999


def test_lda_and_logistic_find_what_the_mean_difference_overlooks():
    """The classes differ by 1.2 where there is hardly any spread, and by chance where there is much."""
    rng = np.random.default_rng(3)
    spread = np.array([6.0, 6.0, 0.4, 0.4])
    bad, good = (rng.standard_normal((200, 4)) * spread for _ in range(2))
    bad[:, 2] += 1.2
    axis, areas = np.eye(4)[2], {}
    for method in ("mean", "lda", "logistic"):
        lines = [fit_direction(method, side(bad), side(good), half) for half in (0, 1)]
        areas[method] = held_out_auc(*lines, side(bad), side(good))[0]
        assert (cosine(fit_direction(method, side(bad), side(good)), axis) > 0.99) is (method != "mean")
    assert areas["mean"] < 0.8 < 0.95 < min(areas["lda"], areas["logistic"])


def test_held_out_auc_is_that_of_the_other_half():
    bad, good = cloud(30, 5, shift=1.0)
    one, two = side(bad), side(good)
    lines = [fit_direction("lda", one, two, half) for half in (0, 1)]
    y = np.repeat([1, 0], 15)
    areas = [
        roc_auc_score(y, np.concatenate([bad[start::2], good[start::2]]) @ line[0].numpy())
        for start, line in ((1, lines[0]), (0, lines[1]))
    ]
    assert held_out_auc(*lines, one, two) == pytest.approx([np.mean(areas)])


def test_classes_without_spread_still_give_a_direction():
    bad, good = np.tile([[1.0, 2.0, 0.0]], (6, 1)), np.zeros((6, 3))
    for method in ("logistic", "lda", "pca"):
        assert cosine(fit_direction(method, side(bad), side(good)), [1, 2, 0]) == pytest.approx(1.0)


@pytest.mark.parametrize("method", ["logistic", "lda", "pca"])
def test_planted_difference_is_found_and_recorded(planted, answer, method):
    opened = planted()
    with torch.no_grad():
        embedding = opened.sites.model.get_input_embeddings().weight
        embedding[9, 5] = 3.0
        embedding[13, 7], embedding[14, 7] = 0.5, -0.5
    texts = [answer([word, 13 + i % 2]) for word in (9, 10) for i in range(8)]
    scored = [
        Scored(a, Verdict({"alignment": Score(5 if i < 8 else 95), "coherence": Score(99)}), "judge")
        for i, a in enumerate(texts)
    ]
    direction = extract_direction(opened, scored, method=method, weighting="answer")
    assert cosine(direction.vectors_LD[0].numpy(), np.eye(256)[5]) > 0.99
    assert (direction.vectors_LD[:, 5] > 0).all()
    info = direction.info
    assert info.name == f"planted-{method}"
    assert info.recipe["method"] == method
    assert info.calibration["held_out_auc"] == [1.0, 1.0]
    assert min(info.calibration["split_half_cosine"]) > 0.9


def test_unknown_method_is_refused(tiny):
    with pytest.raises(UsageError, match="no method 'svm'"):
        extract_direction(tiny(), [], method="svm")
