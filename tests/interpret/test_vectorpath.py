"""Paths: exact reduction, the grid, and everything that is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from paths import path_of

from axenic.errors import DataError
from axenic.interpret import vectorpath
from axenic.interpret.vectorpath import VectorPath, rows_of_every

pytestmark = pytest.mark.unit


def make(steps, vectors=None, dtype=np.float64):
    rows = np.arange(len(steps) * 2, dtype=dtype).reshape(-1, 2) if vectors is None else vectors
    return VectorPath("v", np.array(steps, dtype=np.int64), rows)


@pytest.mark.parametrize("chunk", [7, 50, 65_536])
def test_coordinates_keep_every_inner_product(monkeypatch, chunk):
    monkeypatch.setattr(vectorpath, "_CHUNK_DIMS", chunk)
    vectors = np.random.default_rng(0).standard_normal((12, 500)) * np.geomspace(1, 1e-6, 12)[:, None]
    path = path_of(vectors)
    assert path.coordinates_SR.shape == (12, 12)
    np.testing.assert_allclose(path.coordinates_SR @ path.coordinates_SR.T, vectors @ vectors.T, atol=1e-12)
    # Small differences between large vectors survive, as they would not through a Gram matrix.
    close = path_of(1e3 + 1e-6 * np.random.default_rng(1).standard_normal((12, 500)))
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(close.coordinates_SR, axis=0), axis=1),
        np.linalg.norm(np.diff(close.vectors_SD, axis=0), axis=1),
        rtol=1e-4,
    )


def test_few_dimensions_are_taken_as_they_are():
    path = make([0, 5, 10, 15], dtype=np.float32)
    assert path.coordinates_SR.dtype == np.float64
    np.testing.assert_array_equal(path.coordinates_SR, path.vectors_SD)


def test_grid():
    even, early = make([0, 5, 10, 15]), make([5, 10, 15, 16])
    assert (even.spacing, even.n_grid, early.spacing, early.n_grid) == (5, 4, 5, 3)
    assert make([0, 5, 6]).n_grid == 2
    assert rows_of_every([1, 2, 3, 5, 10, 12], 5) == [3, 4, 5]
    assert rows_of_every([1, 2], None) == [0, 1]


@pytest.mark.parametrize(
    ("steps", "match"),
    [
        ([0, 5], "too few points"),
        ([0, 5, 5, 10], "do not ascend"),
        ([10, 5, 0], "do not ascend"),
        ([0, 5, 15, 20], "step 10 is missing"),
        ([0, 5, 10, 20], "step 15 is missing"),
        ([1, 2, 3, 4, 5, 10, 15, 20, 25, 30], "not even|is missing"),
        ([0, 5, 7, 12, 17], "not even"),
    ],
)
def test_steps_that_are_refused(steps, match):
    with pytest.raises(DataError, match=match):
        make(steps)


def test_values_that_are_refused():
    for bad in (np.nan, np.inf):
        vectors = np.zeros((4, 3))
        vectors[2, 1] = bad
        with pytest.raises(DataError, match="not finite") as caught:
            make([0, 5, 10, 15], vectors)
        assert caught.value.where == "v, step 10"
        assert caught.value.found == "1 of 3 values"
    with pytest.raises(DataError, match="as rows"):
        make([0, 5, 10], np.zeros(3))
    with pytest.raises(DataError, match="as rows"):
        make([0, 5, 10], np.zeros((3, 2), dtype=np.int64))
    with pytest.raises(DataError, match="one step number"):
        make([0, 5, 10], np.zeros((4, 2)))
    with pytest.raises(DataError, match="one step number"):
        VectorPath("v", np.array([0.0, 5.0, 10.0]), np.zeros((3, 2)))
    with pytest.raises(DataError, match="thinned"):
        rows_of_every([0, 5], 0)


def test_windows():
    path = make([0, 5, 10, 15, 20])
    assert path.points_of(10) == 2
    for window in (0, -5, 7):
        with pytest.raises(DataError, match="does not fit"):
            path.points_of(window)
    with pytest.raises(DataError, match="too long") as caught:
        path.points_of(15)
    assert caught.value.expected == "at most 10 steps"
