"""Norms, local cosine, PCA and comp score against closed forms, brute force and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from axenic.errors import DataError
from axenic.interpret.pathcurves import comp_score, local_cosine, path_norms, pca_path
from axenic.interpret.vectorpath import VectorPath

pytestmark = pytest.mark.unit


def path_of(vectors, spacing=5, name="v"):
    rows = np.asarray(vectors, dtype=np.float64)
    return VectorPath(name, np.arange(len(rows), dtype=np.int64) * spacing, rows)


def wander(seed, n=20, dims=60):
    return np.cumsum(np.random.default_rng(seed).standard_normal((n, dims)), axis=0)


def test_straight_is_minus_one_and_a_right_angle_zero():
    straight = local_cosine(path_of(np.outer(np.arange(9.0) ** 2, [3.0, 0, 4.0])), 10)
    assert straight.values == pytest.approx([-1.0] * 5)
    assert straight.steps == (10, 15, 20, 25, 30)
    corner = [[float(min(i, 4)), float(max(i - 4, 0))] for i in range(9)]
    assert local_cosine(path_of(corner), 20).values == pytest.approx([0.0], abs=1e-15)
    back = [[float(4 - abs(i - 4))] for i in range(9)]
    assert local_cosine(path_of(back), 20).values == pytest.approx([1.0])


@pytest.mark.parametrize("window", [5, 10, 15])
def test_local_cosine_is_the_formula(window):
    vectors = wander(0)
    found, k = local_cosine(path_of(vectors), window), window // 5
    for step, value, moved in zip(found.steps, found.values, found.displacements, strict=True):
        t = step // 5
        a, b = vectors[t - k] - vectors[t], vectors[t + k] - vectors[t]
        assert value == pytest.approx(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), abs=1e-12)
        assert moved == pytest.approx(max(np.linalg.norm(a), np.linalg.norm(b)), rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-6, 1e6))
def test_rotation_shift_and_scale_leave_cosine_and_pca(seed, scale):
    vectors = wander(seed, 10, 12)
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((12, 12)))[0]
    one, two = path_of(vectors), path_of(scale * (vectors @ rotation + 1.0))
    assert local_cosine(two, 10).values == pytest.approx(local_cosine(one, 10).values, abs=1e-7)
    assert pca_path(two).explained == pytest.approx(pca_path(one).explained, abs=1e-9)
    np.testing.assert_allclose(
        np.array(pca_path(two).points) / scale, np.array(pca_path(one).points), atol=1e-6
    )


def test_points_that_moved_too_little_are_dropped():
    still = np.array([[0.0], [1.0], [2.0], [2.001], [2.002], [2.003], [3.0]])
    path = path_of(still)
    assert local_cosine(path, 5, threshold=0.01).values == pytest.approx([-1, -1, None, None, -1])
    # As in the authors' code: kept when either factor has moved far enough.
    partner = path_of(np.arange(7.0)[:, None], name="A")
    assert None not in local_cosine(path, 5, threshold=0.01, partner=partner).values
    frozen = path_of([[0.0], [1.0], [1.0], [2.0]])
    assert local_cosine(frozen, 5).values == (None, None)
    with pytest.raises(DataError, match="below 0"):
        local_cosine(path, 5, threshold=-1.0)
    with pytest.raises(DataError, match="other steps"):
        local_cosine(path, 5, partner=path_of(np.arange(6.0)[:, None]))


def test_norms_and_pca_are_those_of_the_full_vectors():
    vectors = wander(1)
    path = path_of(vectors)
    assert path_norms(path) == pytest.approx(np.linalg.norm(vectors, axis=1), rel=1e-12)
    found, peer = pca_path(path, 3), PCA(3).fit(vectors)
    assert found.explained == pytest.approx(peer.explained_variance_ratio_, rel=1e-10)
    points, theirs = np.array(found.points), peer.transform(vectors)
    np.testing.assert_allclose(np.abs(points), np.abs(theirs), rtol=1e-8, atol=1e-8)
    assert all(column[np.abs(column).argmax()] > 0 for column in points.T)


def test_a_straight_path_has_one_component():
    found = pca_path(path_of(np.outer(np.arange(5.0), [3.0, 4.0])))
    assert found.explained == pytest.approx([1.0, 0.0], abs=1e-15)
    # Both ends are equally far out: the first is the positive one.
    assert [x for x, _ in found.points] == pytest.approx([10.0, 5.0, 0.0, -5.0, -10.0])
    with pytest.raises(DataError, match="does not move"):
        pca_path(path_of(np.ones((4, 3))))
    with pytest.raises(DataError, match="does not move"):
        pca_path(path_of(np.zeros((4, 3))))
    for components in (0, 3):
        with pytest.raises(DataError, match="not so many components"):
            pca_path(path_of(np.eye(4, 2)), components)


@pytest.mark.parametrize("demean", ["step", "checkpoints"])
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_comp_score_is_the_formula(demean, layout):
    adapters = [wander(seed, 6, 30) for seed in range(4)]
    stack = np.stack(adapters, axis=1)
    stack = stack - stack.mean(axis=1 if demean == "step" else 0, keepdims=True)
    if layout == "columns":
        stack = stack.transpose(0, 2, 1)
    expected = [
        np.linalg.norm(m.T @ stack[-1]) / (np.linalg.norm(m) * np.linalg.norm(stack[-1])) for m in stack
    ]
    found = comp_score([path_of(a) for a in adapters], demean=demean, layout=layout)
    assert found == pytest.approx(expected, rel=1e-10)


def test_comp_score_of_equal_matrices_and_of_a_rotated_set():
    """papers.md M1.9: √(Σσ⁴)/Σσ² at T; the row layout does not see a rotation, the column layout does."""
    ends = np.random.default_rng(0).standard_normal((3, 40))
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((40, 40)))[0]
    paths = [path_of([np.zeros(40), end @ turn, end]) for end in ends]
    sizes = np.linalg.svd(ends - ends.mean(axis=0), compute_uv=False)
    at_end = np.sqrt((sizes**4).sum()) / (sizes**2).sum()
    rows, columns = comp_score(paths), comp_score(paths, layout="columns")
    assert rows[0] is None
    assert rows[1:] == pytest.approx([at_end, at_end])
    assert columns[2] == pytest.approx(at_end)
    assert columns[1] < 0.7 * at_end
    (alone,) = {round(v, 12) for v in comp_score([path_of(wander(0))], demean="checkpoints")}
    assert alone == 1.0


def test_comp_score_errors():
    path = path_of(wander(0))
    with pytest.raises(DataError, match="more adapters"):
        comp_score([path])
    with pytest.raises(DataError, match="more adapters"):
        comp_score([], demean="checkpoints")
    with pytest.raises(DataError, match="other sizes or steps"):
        comp_score([path, path_of(wander(0, dims=50))])
    with pytest.raises(DataError, match="other sizes or steps"):
        comp_score([path, path_of(wander(0), spacing=1)])
