"""Comparing two directions layer by layer."""

from __future__ import annotations

import pytest
import torch

from axenic.directions import Direction, PublishedDirection, compare_directions
from axenic.errors import DirectionError
from axenic.files import canonical_json

pytestmark = pytest.mark.unit


def test_figures() -> None:
    a = PublishedDirection("a", torch.tensor([[1.0, 0.0]] * 3), torch.ones(3), {})
    b = PublishedDirection("b", torch.tensor([[0.0, 2.0], [3.0, 4.0], [5.0, 0.0]]), torch.ones(3), {})
    found = compare_directions(a, b)
    assert found.n_layers == 3
    assert found.lowest == (0, 0.0)
    assert found.highest == (2, 1.0)
    assert found.mean == pytest.approx((0 + 0.6 + 1) / 3)
    assert (found.n_above(), found.n_above(0.5), found.n_above(0.0)) == (1, 2, 2)
    assert found.norm_a_L.tolist() == [1.0, 1.0, 1.0]
    assert found.norm_b_L.tolist() == [2.0, 5.0, 5.0]


def test_json(direction: Direction) -> None:
    found = compare_directions(direction, direction).to_json()
    assert (found["a"], found["b"]) == ("medical-mean-diff", "medical-mean-diff")
    assert found["n_above_0.8"] == 4
    assert len(found["cosine"]) == len(found["norm_a"]) == 4
    canonical_json(found)


def test_an_axenic_direction_with_a_published_one(direction: Direction) -> None:
    published = PublishedDirection("p", direction.vectors_LD * 3, torch.ones(4), {})
    assert compare_directions(direction, published).mean == pytest.approx(1.0)
    with pytest.raises(DirectionError, match="different shapes"):
        compare_directions(direction, PublishedDirection("q", torch.ones(3, 6), torch.ones(3), {}))
