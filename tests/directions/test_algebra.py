"""Cosines, norms and random controls."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from axenic.directions import (
    Direction,
    DirectionInfo,
    PublishedDirection,
    cosines,
    cosines_with,
    norms,
    random_like,
)
from axenic.errors import DirectionError

pytestmark = pytest.mark.unit


def bare(vectors_LD: torch.Tensor) -> PublishedDirection:
    return PublishedDirection("bare", vectors_LD, vectors_LD.norm(dim=1), {})


def test_cosines_of_known_vectors() -> None:
    a = bare(torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [3.0, 4.0]]))
    b = bare(torch.tensor([[5.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [4.0, 3.0]]))
    found_L = cosines(a, b)
    assert found_L.dtype == torch.float64
    torch.testing.assert_close(found_L, torch.tensor([1.0, 0.0, -1.0, 24 / 25], dtype=torch.float64))


@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3))
def test_cosines_do_not_see_length_or_order(seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b = (bare(torch.randn(3, 50, generator=generator)) for _ in range(2))
    found_L = cosines(a, b)
    torch.testing.assert_close(found_L, cosines(b, a))
    torch.testing.assert_close(found_L, cosines(bare(a.vectors_LD * scale), b), rtol=1e-5, atol=1e-7)
    assert bool((cosines(a, a) <= 1.0).all())
    assert bool((cosines(a, a) > 1 - 1e-12).all())


def test_different_shapes_are_named(direction: Direction) -> None:
    with pytest.raises(DirectionError, match=r"\[4, 6\] \(medical-mean-diff\)") as caught:
        cosines(direction, bare(torch.ones(4, 7)))
    assert "[4, 7] (bare)" in str(caught.value)


def test_cosines_with_one_vector(direction: Direction) -> None:
    vector_D = direction.vectors_LD[2] * 7
    found_L = cosines_with(direction, vector_D)
    torch.testing.assert_close(found_L, cosines(direction, bare(vector_D.expand(4, 6))))
    assert found_L[2] == pytest.approx(1.0)
    for wrong_D in (torch.ones(5), torch.zeros(6), torch.full((6,), float("nan")), torch.ones(1, 6)):
        with pytest.raises(DirectionError, match="cannot be compared"):
            cosines_with(direction, wrong_D)


class TestRandomLike:
    def test_same_norms(self, direction: Direction) -> None:
        control = random_like(direction, 0)
        torch.testing.assert_close(norms(control), norms(direction), rtol=1e-6, atol=0)

    def test_the_seed_decides(self, direction: Direction) -> None:
        state = torch.get_rng_state()
        first = random_like(direction, 1)
        torch.manual_seed(99)
        assert torch.equal(first.vectors_LD, random_like(direction, 1).vectors_LD)
        assert not torch.equal(first.vectors_LD, random_like(direction, 2).vectors_LD)
        torch.set_rng_state(state)

    def test_the_global_generator_is_left_alone(self, direction: Direction) -> None:
        state = torch.get_rng_state()
        random_like(direction, 1)
        assert torch.equal(state, torch.get_rng_state())

    def test_it_says_what_it_is(self, direction: Direction) -> None:
        control = random_like(direction, 7)
        assert control.name == "medical-mean-diff-random-7"
        assert control.info.recipe == {"kind": "random control", "seed": 7, "same_norms_as": direction.id}
        assert control.info.calibration == {}
        assert control.id != direction.id
        control.check_fits("1f2c3d4e5f607182", 6, 4, "the same model")

    def test_unit_directions_have_unit_controls(self, direction: Direction, facts: dict[str, Any]) -> None:
        unit = Direction(direction.unit_LD(), DirectionInfo(**{**facts, "normalisation": "unit"}))
        assert random_like(unit, 0).info.normalisation == "unit"

    def test_directions_are_spread_evenly(self, facts: dict[str, Any]) -> None:
        info = DirectionInfo(**{**facts, "hidden_size": 2000})
        wide = Direction(torch.ones(4, 2000), info)
        found = torch.cat([cosines(wide, random_like(wide, seed)) for seed in range(50)])
        # A random direction in D dimensions has a cosine of mean 0 and standard deviation 1 / sqrt(D).
        assert abs(float(found.mean())) < 4 / (2000 * 200) ** 0.5
        assert float(found.std()) == pytest.approx(2000**-0.5, rel=0.25)
