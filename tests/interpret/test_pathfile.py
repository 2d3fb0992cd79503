"""Paths from our own trajectories and logs, and from published files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from axenic.errors import DataError, FileError
from axenic.files import Table, TensorStack, save_tensors
from axenic.interpret.pathfile import read_log_curve, read_path, read_paths, read_published_path

pytestmark = pytest.mark.unit

A, B = "layers.1.mlp.down_proj.A", "layers.1.mlp.down_proj.B"


@pytest.fixture
def run(tmp_path):
    def make(planned=(0, 5, 10, 15, 17), written=None):
        stack = TensorStack.create(tmp_path / "trajectory.safetensors", {A: (2, 3), B: (4, 2)}, planned)
        for step in planned if written is None else written:
            stack.write(step, {A: torch.full((2, 3), float(step)), B: torch.arange(8.0).reshape(4, 2) + step})
        return tmp_path

    return make


def test_our_own_trajectory(run):
    folder = run()
    paths = read_paths(folder)
    assert {name: path.vectors_SD.shape for name, path in paths.items()} == {A: (5, 6), B: (5, 8)}
    assert paths[B].steps_S.tolist() == [0, 5, 10, 15, 17]
    np.testing.assert_array_equal(paths[B].vectors_SD[2], np.arange(8) + 10)
    np.testing.assert_array_equal(read_path(folder, A).vectors_SD, paths[A].vectors_SD)


def test_a_stopped_run_and_thinning(run):
    folder = run((*range(11), 15, 20, 25, 30), written=(*range(11), 15, 20))
    with pytest.raises(DataError, match="missing"):
        read_paths(folder)
    assert read_path(folder, B, every=5).steps_S.tolist() == [0, 5, 10, 15, 20]


def test_missing_steps_and_files(run, tmp_path):
    with pytest.raises(FileError, match="no trajectory"):
        read_paths(tmp_path)
    folder = run((0, 5, 10, 15, 20, 22), written=(0, 5, 15, 20, 22))
    with pytest.raises(DataError, match=r"missing|not even") as caught:
        read_path(folder, B)
    assert "trajectory.safetensors" in caught.value.where


def test_an_unknown_vector(run):
    with pytest.raises(FileError, match="no vector") as caught:
        read_path(run(), "layers.2.B")
    assert caught.value.expected == f"{A}, {B}"


def test_published(tmp_path):
    file = tmp_path / "v.safetensors"
    vectors = torch.randn(4, 6)
    save_tensors(file, {"steps": torch.tensor([5, 10, 15, 16]), "vectors": vectors})
    path = read_published_path(file)
    assert (path.steps_S.tolist(), path.n_grid) == ([5, 10, 15, 16], 3)
    np.testing.assert_array_equal(path.vectors_SD, vectors.numpy())
    save_tensors(file, {"steps": torch.tensor([5, 10, 15]), "vectors": vectors[:3].bfloat16()})
    assert read_published_path(file).vectors_SD.dtype == np.float32
    save_tensors(file, {"steps": torch.tensor([5.0, 10, 15]), "vectors": vectors[:3]})
    with pytest.raises(FileError, match="whole numbers"):
        read_published_path(file)
    save_tensors(file, {"steps": torch.tensor([5, 10]), "vectors": vectors[:3]})
    with pytest.raises(FileError, match="one step for each"):
        read_published_path(file)
    save_tensors(file, {"vectors": vectors})
    with pytest.raises(FileError, match="lacks tensor steps"):
        read_published_path(file)
    with pytest.raises(FileError):
        read_published_path(tmp_path / "none.safetensors")


def test_gradient_norms(tmp_path):
    assert read_log_curve(tmp_path, "grad_norm") is None
    log = Table(tmp_path / "log.jsonl")
    log.append([{"id": "1", "step": 1, "loss": 2.0}])
    assert read_log_curve(tmp_path, "grad_norm") is None
    log.append([{"id": str(i), "step": i, "grad_norm": 0.5 * i} for i in (2, 3)])
    curve = read_log_curve(tmp_path, "grad_norm")
    assert (curve.steps, curve.values) == ((2, 3), (1.0, 1.5))
    log.append([{"id": "4", "step": 4, "grad_norm": "large"}])
    with pytest.raises(DataError, match="line of the log") as caught:
        read_log_curve(tmp_path, "grad_norm")
    assert caught.value.where.endswith("id 4")
