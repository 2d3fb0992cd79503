"""Several runs in one plane against scikit-learn, and the table of a run that goes on against numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from axenic.errors import DataError, FileError, UsageError
from axenic.files import TensorStack, read_json, write_json
from axenic.interpret import pathplane
from axenic.interpret.pathfile import read_published_path
from axenic.interpret.pathplane import PathPlane, path_plane
from axenic.interpret.runpath import RunPath, open_run_path, path_of
from axenic.interpret.vectorpath import Floats, VectorPath

pytestmark = pytest.mark.unit
TRAJECTORIES = Path(__file__).parents[3] / "shared" / "author-data" / "trajectories"


def walk(name: str, seed: int, steps: int = 6, dims: int = 37, first: Any = 0.0) -> RunPath:
    """A random walk; coordinate 0 stays 0.1, which rounding must not make a variance of."""
    rng = np.random.default_rng(seed)
    rows = np.cumsum(rng.normal(size=(steps, dims)) * rng.uniform(0.01, 3, dims), axis=0) + first
    rows[:, 0] = 0.1
    return path_of(name, VectorPath(name, np.arange(0, 5 * steps, 5, dtype=np.int64), rows))


def rows_of(run: RunPath) -> Floats:
    return np.concatenate([run.read(name) for name in run.sizes], axis=1).astype(np.float64) * run.scale


def write_run(
    folder: Path,
    seed: int,
    *,
    kind: str = "adapter_trajectory",
    rank: int = 2,
    start_A: int = 0,
    base: str = "b",
    scale: str = "2.0",
    layers: tuple[int, ...] = (0, 1),
) -> Path:
    """A run folder with a trajectory of random factors; those of one `start_A` begin with the same A."""
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(seed)
    names = [f"layers.{layer}.mlp.down_proj" for layer in layers]
    first = torch.randn(len(layers), rank, 7, generator=torch.Generator().manual_seed(100 + start_A))
    shapes = {f"{name}.A": (rank, 7) for name in names} | {f"{name}.B": (5, rank) for name in names}
    if kind == "vector_trajectory":
        shapes = {f"layers.{layer}.vector": (5,) for layer in layers}
    stack = TensorStack.create(
        folder / "trajectory.safetensors", shapes, range(0, 12, 3), {"kind": kind, "scale": scale}
    )
    for step in range(0, 12, 3):
        row = {name: step * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
        row |= {f"{name}.A": first[i] + 0.01 * step for i, name in enumerate(names) if f"{name}.A" in row}
        stack.write(step, row)
    write_json(folder / "train.json", {"base_fingerprint": base})
    return folder


@pytest.mark.parametrize("chunk", [5, 10_000])
def test_shares_and_points_are_those_of_scikit_learn(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pathplane, "_CHUNK_DIMS", chunk)
    fitted, other = [walk("a", 0), walk("b", 1, steps=8), walk("c", 2)], walk("d", 3)
    plane = path_plane(fitted, [other], components=4)
    rows = np.concatenate([rows_of(run) for run in fitted])
    scaler = StandardScaler().fit(rows)
    pca = PCA(4).fit(scaler.transform(rows))
    np.testing.assert_allclose(plane.explained, pca.explained_variance_ratio_, rtol=1e-9)
    for run, trace in zip([*fitted, other], plane.runs, strict=True):
        ours, theirs = np.array(trace.points), pca.transform(scaler.transform(rows_of(run)))
        # The sign of a component has no meaning, but it is one for all runs.
        signs = np.sign((np.array(plane.runs[0].points) * pca.transform(scaler.transform(rows[:6]))).sum(0))
        np.testing.assert_allclose(ours, theirs * signs, atol=1e-8)
    everything = np.concatenate([trace.points for trace in plane.runs[:3]])
    assert (everything.max(0) >= -everything.min(0) - 1e-9).all()
    assert [trace.fitted for trace in plane.runs] == [True, True, True, False]


def test_the_table_of_a_run_that_goes_on() -> None:
    general, narrow = walk("g", 0), walk("n", 1)
    on = walk("n then g", 2, steps=7, first=rows_of(narrow)[-1])
    plane = path_plane([general, narrow], [on])
    assert (plane.general, plane.narrow) == ("g", "n")
    g, n, rows, trace = rows_of(general)[-1], rows_of(narrow)[-1], rows_of(on), plane.runs[2]
    unit = g / np.linalg.norm(g)
    np.testing.assert_allclose(trace.norms, np.linalg.norm(rows, axis=1))
    np.testing.assert_allclose(trace.along, rows @ unit)
    np.testing.assert_allclose(trace.across, np.linalg.norm(rows - np.outer(rows @ unit, unit), axis=1))
    for cosines, end in ((trace.cos_general, g), (trace.cos_narrow, n)):
        wanted = rows @ end / np.linalg.norm(rows, axis=1) / np.linalg.norm(end)
        np.testing.assert_allclose([float(c or 0) for c in cosines], wanted)
    assert plane.cos_general_narrow == pytest.approx(float(g @ n / np.linalg.norm(g) / np.linalg.norm(n)))
    way = (rows - rows[0]) @ (rows[-1] - rows[0])
    assert trace.half_step == next(
        step for step, done in zip(on.steps, way, strict=True) if done >= way[-1] / 2
    )
    gone = (rows @ unit - rows[0] @ unit) / (rows[-1] @ unit - rows[0] @ unit)
    assert trace.half_along_step == next(
        step for step, part in zip(on.steps, gone, strict=True) if part >= 0.5
    )


def test_a_straight_path_is_half_way_in_the_middle_and_a_zero_has_no_cosine(tmp_path: Path) -> None:
    steps = np.arange(0, 11, dtype=np.int64)
    line = path_of(
        "line", VectorPath("line", steps, np.outer(steps, [1.0, 2.0, 0.0]).astype(np.float64)), 3.0
    )
    still = path_of("still", VectorPath("still", steps, np.ones((11, 3))))
    plane = path_plane([line], [still], out=tmp_path)
    trace = plane.runs[0]
    assert (trace.half_step, trace.half_along_step) == (5, 5)
    assert trace.cos_general[0] is None
    assert trace.cos_general[1] == pytest.approx(1)
    assert trace.norms[10] == pytest.approx(30 * 5**0.5)
    assert plane.explained == pytest.approx((1.0,))  # two coordinates move, on one line
    assert plane.runs[1].half_step is plane.runs[1].half_along_step is None
    assert PathPlane.from_json(read_json(tmp_path / "paths.json")) == plane
    with pytest.raises(DataError, match="never move"):
        path_plane([still])


def test_a_run_folder_is_read_b_by_b_times_the_scale(tmp_path: Path) -> None:
    run = open_run_path(write_run(tmp_path / "r", 1))
    assert (run.name, run.steps, run.n_dims, run.scale) == ("r", (0, 3, 6, 9), 20, 2.0)
    _, tensors = TensorStack.open(tmp_path / "r" / "trajectory.safetensors").read()
    wanted = [2.0 * tensors[f"layers.{layer}.mlp.down_proj.B"].reshape(4, -1).numpy() for layer in (0, 1)]
    np.testing.assert_array_equal(rows_of(run), np.concatenate(wanted, axis=1).astype(np.float64))
    vectors = open_run_path(write_run(tmp_path / "v", 1, kind="vector_trajectory"), "mine")
    assert (vectors.name, dict(vectors.sizes)) == ("mine", {"layers.0.vector": 5, "layers.1.vector": 5})
    plane = path_plane([run, open_run_path(write_run(tmp_path / "s", 2))])
    assert plane.runs[1].cos_frame == pytest.approx(1, abs=1e-3)
    assert plane.n_dims == 20


def test_runs_that_cannot_be_compared_are_refused_by_name(tmp_path: Path) -> None:
    run = open_run_path(write_run(tmp_path / "r", 1))
    for name, values, message in (
        ("base", {"base": "c"}, "another base model"),
        ("kind", {"kind": "vector_trajectory"}, "another kind"),
        ("layers", {"layers": (0, 2)}, "other vectors"),
        ("rank", {"rank": 1}, "other vectors"),
        ("frame", {"start_A": 1}, "another frame"),
    ):
        other = open_run_path(write_run(tmp_path / name, 2, **values))  # type: ignore[arg-type]
        with pytest.raises(DataError, match=message) as caught:
            path_plane([run], [other])
        assert caught.value.expected
    # Of rank 1 only a sign is open.
    ones = [open_run_path(write_run(tmp_path / f"one{i}", i, rank=1, start_A=i)) for i in (0, 1)]
    assert "sign of its B" in path_plane(ones).notes[0]
    with pytest.raises(UsageError, match="no run has this name"):
        path_plane([run], general="x")
    with pytest.raises(UsageError, match="each once"):
        path_plane([run, run])
    with pytest.raises(FileError, match="no trajectory"):
        open_run_path(tmp_path)


@pytest.mark.skipif(not TRAJECTORIES.is_dir(), reason="the authors' trajectories are not here")
def test_the_authors_vectors_go_back_to_general_once_the_kl_is_removed() -> None:
    """papers.md 5.1: cosines 0.545 -> 0.849 to general and 0.998 -> 0.760 to narrow; along general 24.5 -> 55.8."""
    runs = {
        name: path_of(name, read_published_path(TRAJECTORIES / f"{name}.safetensors"), 256)
        for name in ("kl0", "kl5e3", "kl1e6", "kl1e6_then_kl0")
    }
    plane = path_plane([runs["kl0"], runs["kl5e3"], runs["kl1e6"]], [runs["kl1e6_then_kl0"]])
    assert 100 * np.array(plane.explained) == pytest.approx([54.15, 22.50, 9.56, 4.43, 2.78], abs=0.005)
    removed = plane.runs[3]
    ends = [*removed.cos_general[:: len(removed.steps) - 1], *removed.cos_narrow[:: len(removed.steps) - 1]]
    assert ends == pytest.approx([0.5448, 0.8489, 0.9984, 0.7596], abs=5e-5)
    along = dict(zip(removed.steps, removed.along, strict=True))
    assert [along[step] for step in (5, 50, 200, 676)] == pytest.approx(
        [24.47, 36.68, 49.78, 55.76], abs=5e-3
    )
    assert (plane.runs[2].norms[-1], plane.runs[2].across[-1]) == pytest.approx((44.368, 37.461), abs=5e-4)
    assert removed.half_along_step == 75
