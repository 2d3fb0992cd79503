"""A direction of 4 blocks and width 6 whose row l is full of l + 1, and the facts that files do not carry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from axenic.directions import Direction, DirectionInfo
from axenic.formats import Facts

N_LAYERS, WIDTH = 4, 6


@pytest.fixture
def info() -> DirectionInfo:
    return DirectionInfo(
        name="planted", operation="add", site="resid_post", layer_convention="block_output_0", normalisation="raw",
        positions="answer", base_model="Qwen/Qwen2.5-14B-Instruct", base_fingerprint="1f2c", hidden_size=WIDTH,
        n_layers=N_LAYERS, recipe={"kind": "planted", "seed": 0}, data_hash="d", judge="j", tokenizer_fingerprint="t",
        calibration={}, created_by="axenic test",
    )  # fmt: skip


@pytest.fixture
def planted_LD() -> Tensor:
    """Row l holds l + 1 in place 0 and noise elsewhere: an off-by-one cannot hide."""
    rows = torch.randn(N_LAYERS, WIDTH, generator=torch.Generator().manual_seed(0))
    rows[:, 0] = torch.arange(1.0, N_LAYERS + 1)
    return rows


@pytest.fixture
def direction(planted_LD: Tensor, info: DirectionInfo) -> Direction:
    return Direction(planted_LD, info)


@pytest.fixture
def model() -> Facts:
    """What `--base-model` states."""
    return Facts(base_model="nano", base_fingerprint="ffff", hidden_size=WIDTH, n_layers=N_LAYERS)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[object, str], Path]:
    """Write a value with torch.save."""

    def save(value: object, name: str = "vector.pt") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(value, path)
        return path

    return save
