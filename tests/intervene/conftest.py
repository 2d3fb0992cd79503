"""Directions for tiny models (3 blocks, width 16)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from axenic.directions import Direction, DirectionInfo
from axenic.models.tiny import D_MODEL


@pytest.fixture
def direction() -> Callable[..., Direction]:
    def make(seed: int = 0, **facts: object) -> Direction:
        generator = torch.Generator().manual_seed(seed)
        info = {
            "name": "tiny",
            "operation": "add",
            "site": "resid_post",
            "layer_convention": "block_output_0",
            "normalisation": "raw",
            "positions": "answer",
            "base_model": "tiny",
            "base_fingerprint": "0" * 16,
            "hidden_size": D_MODEL,
            "n_layers": 3,
            "recipe": {},
            "data_hash": "0" * 16,
            "judge": "none",
            "tokenizer_fingerprint": "0" * 16,
            "calibration": {},
            "created_by": "test",
        }
        vectors_LD = torch.randn(3, D_MODEL, generator=generator)
        return Direction(vectors_LD, DirectionInfo.model_validate({**info, **facts}))

    return make
