"""The phase analysis as a whole: its JSON, its defaults, the authors' trajectories, and its speed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from axenic.errors import DataError
from axenic.files import read_json, write_json
from axenic.interpret.pathcurves import local_cosine, path_norms, pca_path
from axenic.interpret.pathfile import StepCurve, read_published_path
from axenic.interpret.phase import PhaseResult, analyse_phase
from axenic.interpret.vectorpath import VectorPath

pytestmark = pytest.mark.unit

AUTHORS = Path(__file__).resolve().parents[2].parent / "shared" / "author-data" / "trajectories"
needs_authors = pytest.mark.skipif(not AUTHORS.is_dir(), reason="the authors' files are not on this machine")


def wander(n, spacing=5, dims=40):
    rows = np.cumsum(np.random.default_rng(0).standard_normal((n, dims)) + 1, axis=0)
    return VectorPath("layers.1.B", np.arange(n, dtype=np.int64) * spacing, rows)


def test_there_and_back(tmp_path):
    result = analyse_phase(
        wander(40),
        np.random.default_rng(0),
        gradient=StepCurve((1, 2), (0.5, 0.25)),
        comp={"step, rows": [None, 1.0]},
        threshold=6.0,
        n_surrogates=99,
    )
    assert [curve.window for curve in result.cosines] == [5, 10, 15]
    assert result.transition is not None
    row = result.to_json()
    assert row["kind"] == "phase"
    assert json.loads(json.dumps(row)) == row
    write_json(tmp_path / "phase.json", row)
    assert PhaseResult.from_json(read_json(tmp_path / "phase.json")) == result
    with pytest.raises(DataError, match="another kind"):
        PhaseResult.from_json({"kind": "cosines"})
    with pytest.raises(DataError, match="phase") as caught:
        PhaseResult.from_json({**row, "norms": ["much"]})
    assert caught.value.where == "key norms.0"


def test_short_paths_are_drawn_and_not_tested():
    result = analyse_phase(wander(5, spacing=4), np.random.default_rng(0))
    assert result.transition is None
    assert [curve.window for curve in result.cosines] == [4, 8]
    assert PhaseResult.from_json(result.to_json()) == result
    assert [c.window for c in analyse_phase(wander(29, 1), np.random.default_rng(0)).cosines] == [5, 10]


def test_curves_are_those_of_the_parts():
    path = wander(30)
    result = analyse_phase(path, np.random.default_rng(0), windows=[20], n_surrogates=99)
    assert result.norms == path_norms(path)
    assert result.pca == pca_path(path)
    assert result.cosines == (local_cosine(path, 20),)


@pytest.mark.slow
def test_speed():
    """136 x 5120 with the null in under half a second on a free core; three tries, as cores may be busy."""
    rows = np.cumsum(np.random.default_rng(0).standard_normal((136, 5120)), axis=0)
    seconds = []
    for _ in range(3):
        path = VectorPath("v", np.arange(136, dtype=np.int64) * 5, rows)
        start = time.perf_counter()
        analyse_phase(path, np.random.default_rng(0))
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5


@needs_authors
@pytest.mark.parametrize("name", ["kl0", "kl5e3", "kl1e6_then_kl0"])
def test_the_authors_steering_vectors_turn_smoothly(name):
    path = read_published_path(AUTHORS / f"{name}.safetensors")
    for seed in range(2):
        transition = analyse_phase(path, np.random.default_rng(seed)).transition
        assert (transition.found, transition.kind, transition.step) == (False, "none", None)
        assert transition.p_value > 0.5


@needs_authors
def test_the_ripple_of_cycled_kl_rows_is_periodic():
    path = read_published_path(AUTHORS / "kl1e6.safetensors")
    for seed in range(2):
        transition = analyse_phase(path, np.random.default_rng(seed)).transition
        assert (transition.found, transition.kind) == (False, "periodic")
        assert 14 <= transition.period <= 18


@needs_authors
def test_the_authors_curves():
    """author-data/README.md: local cosines, displacements above 0.0035 and PCA shares, recomputed there."""
    path = read_published_path(AUTHORS / "kl0.safetensors")
    at = {
        window: dict(zip(curve.steps, curve.values, strict=True))
        for window in (5, 10, 15, 25)
        for curve in [local_cosine(path, window)]
    }
    found = [at[25][step] for step in (30, 80, 200, 330)] + [at[window][100] for window in (5, 10, 15)]
    assert found == pytest.approx([-0.370, -0.645, -0.406, -0.082, -0.831, -0.725, -0.696], abs=6e-4)
    for window, kept, points in ((5, 75, 133), (10, 101, 131), (15, 108, 129)):
        values = local_cosine(path, window, threshold=0.0035).values
        assert (len(values) - values.count(None), len(values)) == (kept, points)
    assert pca_path(path).explained == pytest.approx([0.7935, 0.1276], abs=6e-5)
    assert 256 * path_norms(path)[-1] == pytest.approx(60.817, abs=6e-4)
    narrow = read_published_path(AUTHORS / "kl1e6.safetensors")
    assert pca_path(narrow).explained == pytest.approx([0.8101, 0.1323], abs=6e-5)
    for window, highest in ((5, 0.252), (10, 0.457)):
        curve = local_cosine(narrow, window)
        value, step = max(zip(curve.values, curve.steps, strict=True))
        assert (step, value) == (450, pytest.approx(highest, abs=6e-4))
