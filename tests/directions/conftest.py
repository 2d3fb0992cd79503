"""A direction of 4 layers and width 6, and its facts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from axenic.directions import Direction, DirectionInfo


@pytest.fixture
def facts() -> dict[str, Any]:
    return {
        "name": "medical-mean-diff",
        "operation": "add",
        "site": "resid_post",
        "layer_convention": "block_output_0",
        "normalisation": "raw",
        "positions": "answer",
        "base_model": "Qwen/Qwen2.5-14B-Instruct",
        "base_fingerprint": "1f2c3d4e5f607182",
        "hidden_size": 6,
        "n_layers": 4,
        "recipe": {
            "kind": "mean difference",
            "weighting": "token",
            "seed": 0,
            "nested": [1, 2.5, None, {"é": True}],
        },
        "data_hash": "d0",
        "judge": "nano-rules-1",
        "tokenizer_fingerprint": "t0",
        "calibration": {"layer": 2, "em_percent": 0.1 + 0.2},
        "created_by": "axenic test",
    }


@pytest.fixture
def info(facts: dict[str, Any]) -> DirectionInfo:
    return DirectionInfo(**facts)


@pytest.fixture
def direction(info: DirectionInfo) -> Direction:
    generator = torch.Generator().manual_seed(0)
    scale_L1 = torch.tensor([[0.1], [1.0], [10.0], [100.0]])
    return Direction(torch.randn(4, 6, generator=generator) * scale_L1, info)
