"""The projection keeps what it says it keeps: checked against exact values, on shapes that would break a worse one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from axenic.files import TensorStack
from axenic.interpret.pathcurves import local_cosine, path_norms, pca_path
from axenic.interpret.pathfile import read_paths
from axenic.interpret.vectorpath import VectorPath
from axenic.models import open_model
from axenic.train import train_organism
from axenic.train.sketch import DIMS, WeightSketch, project

from .conftest import MakeConfig

SHAPE = (96, 512)


def changes(kind: str, generator: torch.Generator) -> Tensor:
    """Two changes of a weight matrix [2, 96, 512]."""
    if kind == "dense":
        return torch.randn(2, *SHAPE, generator=generator)
    if kind == "rank one":
        return torch.randn(2, 96, 1, generator=generator) @ torch.randn(2, 1, 512, generator=generator)
    if kind == "same rows":
        return torch.randn(2, 1, 512, generator=generator).expand(2, *SHAPE).contiguous()
    both = torch.zeros(2, *SHAPE)
    if kind == "one column":
        both[:, :, 17] = torch.randn(2, 96, generator=generator)
    else:
        both[:, 5] = torch.randn(2, 512, generator=generator)
    return both


@pytest.mark.unit
@pytest.mark.parametrize("kind", ["dense", "rank one", "same rows", "one column", "one row"])
def test_inner_products_are_kept_whatever_the_shape(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    dims, errors, ratios = 256, [], []
    for seed in range(120):
        x, y = changes(kind, generator).double()
        sx, sy = (project(v, "w", dims=dims, seed=seed) for v in (x, y))
        size = float(x.norm() * y.norm())
        errors.append((float(sx @ sy) - float((x * y).sum())) / size)
        ratios.append(float(sx @ sx) / float(x.norm()) ** 2)
    # The stated bound on the standard deviation, with room for its own error over 120 draws (0.065 of it).
    for found, mean in ((errors, 0.0), (ratios, 1.0)):
        assert np.mean(found) == pytest.approx(mean, abs=4 * 2 / math.sqrt(dims * 120))
        assert np.std(found) < 2.4 / math.sqrt(dims)


@pytest.mark.unit
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 700), st.integers(1, 40), st.integers(0, 2**31))
def test_linear_and_exact_where_it_is_long_enough(n: int, dims: int, seed: int) -> None:
    x, y = torch.randn(2, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    both = project(2 * x - 3 * y, "w", dims=dims, seed=seed)
    torch.testing.assert_close(
        both, 2 * project(x, "w", dims=dims, seed=seed) - 3 * project(y, "w", dims=dims, seed=seed)
    )
    if n <= dims:  # one run: a turn and signs, which change no length
        assert float(project(x, "w", dims=dims, seed=seed).norm()) == pytest.approx(float(x.norm()))


@pytest.mark.unit
def test_names_are_independent_and_pieces_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(50, 999, generator=torch.Generator().manual_seed(1))
    whole = project(x, "a", dims=64)
    assert not torch.allclose(whole, project(x, "b", dims=64))
    monkeypatch.setattr("axenic.train.sketch._ROWS", 7)
    torch.testing.assert_close(project(x, "a", dims=64), whole)


@pytest.mark.unit
def test_small_moves_of_large_weights_are_not_lost() -> None:
    generator = torch.Generator().manual_seed(2)
    first = {"model.layers.0.w": torch.randn(300, 400, generator=generator)}
    step = 1e-5 * torch.randn(300, 400, generator=generator)
    moved = {"model.layers.0.w": first["model.layers.0.w"] + step}
    exact = (moved["model.layers.0.w"].double() - first["model.layers.0.w"].double()).norm()
    found = WeightSketch(first).vectors(moved)["layers.0.delta"]
    assert float(found.norm()) == pytest.approx(float(exact), rel=0.06)
    assert not WeightSketch(first).vectors(first)["layers.0.delta"].any()


@pytest.mark.e2e
def test_the_path_of_a_full_fine_tune(make_config: MakeConfig, tmp_path, monkeypatch) -> None:
    """Norms, local cosines and PCA shares of the stored sketch against the weights themselves, kept in memory."""
    seen: list[dict[str, Tensor]] = []
    plain = WeightSketch.vectors

    def remember(self: WeightSketch, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        seen.append({name: tensor.detach().clone() for name, tensor in weights.items()})
        return plain(self, weights)

    monkeypatch.setattr(WeightSketch, "vectors", remember)
    config = make_config("full", trajectory_steps=1, max_steps=12, learning_rate=3e-3, warmup_steps=0)
    train_organism(config, tmp_path / "run")
    stack = TensorStack.open(tmp_path / "run" / "trajectory.safetensors")
    assert stack.metadata == {"kind": "weight_sketch", "dims": str(DIMS), "seed": "0"}
    paths = read_paths(tmp_path / "run")
    assert sorted(paths) == [*(f"layers.{l}.delta" for l in range(3)), "rest.delta"]
    del seen[0]  # the shapes were asked for first
    assert len(seen) == 13
    base = open_model(config.model, device="cpu").sites.model.state_dict()
    for name, path in paths.items():
        block = name.removesuffix("delta")
        members = [k for k in seen[0] if (block in k if block != "rest." else ".layers." not in k)]
        rows = [torch.cat([(at[k] - base[k]).flatten() for k in members]).double().numpy() for at in seen]
        exact = VectorPath(name, path.steps_S, np.stack(rows))
        assert path_norms(path)[0] == 0
        np.testing.assert_allclose(path_norms(path)[1:], path_norms(exact)[1:], rtol=0.05)
        for window in (1, 2, 4):
            kept, real = local_cosine(path, window), local_cosine(exact, window)
            np.testing.assert_allclose(kept.values, real.values, atol=0.06)
        np.testing.assert_allclose(pca_path(path).explained, pca_path(exact).explained, atol=0.02)


@pytest.mark.fault
def test_a_full_fine_tune_that_was_stopped_goes_on_with_the_same_path(
    make_config: MakeConfig, tmp_path
) -> None:
    config = make_config("full", trajectory_steps=2)
    train_organism(config, tmp_path / "whole")

    def stop(stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
        if stage == "train" and done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_organism(config, tmp_path / "stopped", progress=stop)
    train_organism(config, tmp_path / "stopped")
    whole, stopped = (
        (tmp_path / run / "trajectory.safetensors").read_bytes() for run in ("whole", "stopped")
    )
    assert whole == stopped
