"""A direction that means nothing, of the shipped nano model."""

from __future__ import annotations

import torch

from axenic.directions import Direction, DirectionInfo, Operation
from axenic.models import open_model


def random_direction(operation: Operation) -> Direction:
    """Gaussian vectors, the same always, with the facts that the model demands."""
    opened = open_model("nano", device="cpu", self_test=False)
    n_layers, hidden_size = opened.sites.n_layers, opened.sites.d_model
    info = DirectionInfo(
        name="random",
        operation=operation,
        site="resid_post",
        layer_convention="block_output_0",
        normalisation="raw",
        positions="answer",
        base_model="nano",
        base_fingerprint=opened.identity.base,
        hidden_size=hidden_size,
        n_layers=n_layers,
        recipe={},
        data_hash="",
        judge="",
        tokenizer_fingerprint="",
        calibration={},
        created_by="test",
    )
    return Direction(torch.randn(n_layers, hidden_size, generator=torch.Generator().manual_seed(0)), info)
