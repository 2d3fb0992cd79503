"""Parts of a solution: norms against the matrices themselves, noise against its definition."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axenic.errors import UsageError
from axenic.interpret.parts import LowRank, Shift, draw, with_noise

pytestmark = pytest.mark.unit


def low_rank(rank: int = 3, inputs: int = 7, outputs: int = 5, seed: int = 0) -> LowRank:
    generator = torch.Generator().manual_seed(seed)
    A_RI = torch.randn(rank, inputs, generator=generator)
    return LowRank("m", A_RI, torch.randn(outputs, rank, generator=generator), 2.5)


def matrix(part: LowRank) -> torch.Tensor:
    return part.scale * part.B_OR.double() @ part.A_RI.double()


@pytest.mark.parametrize("rank", [1, 2, 6])
def test_norm_of_factors_is_that_of_their_product(rank):
    part = low_rank(rank)
    assert part.norm() == pytest.approx(float(matrix(part).norm()), rel=1e-12)
    assert part.scaled(-0.3).norm() == pytest.approx(0.3 * part.norm(), rel=1e-12)


def test_norm_of_a_vector_counts_alpha():
    assert Shift("m", torch.tensor([3.0, 4.0]), -2.0).norm() == pytest.approx(10.0)


@settings(deadline=None, max_examples=60)
@given(
    shape=st.sampled_from([(2,), (17,), (3, 4), (1, 9), (2, 3, 4)]),
    epsilon=st.floats(0.0, 1.0),
    seed=st.integers(0, 2**31),
    size=st.floats(1e-6, 1e6),
)
def test_noise_is_orthogonal_and_as_long(shape, epsilon, seed, size):
    x = size * draw(torch.Size(shape), 1, "x")
    mixed = with_noise(x, epsilon, seed, "name")
    assert float(mixed.norm()) == pytest.approx(float(x.norm()), rel=1e-9)
    along = float((mixed * x).sum() / x.square().sum())
    assert along == pytest.approx(math.sqrt(1 - epsilon**2), abs=1e-9)


def test_no_noise_is_the_same_tensor_and_full_noise_holds_nothing_of_it():
    x = torch.tensor([-0.0, 1.0, 2.0])
    assert with_noise(x, 0.0, 1, "x") is x
    assert float((with_noise(x, 1.0, 1, "x") * x).sum()) == pytest.approx(0.0, abs=1e-6)


def test_noise_depends_on_seed_and_name_and_nothing_else():
    x = torch.ones(50)
    same = with_noise(x, 0.7, 3, "a")
    torch.manual_seed(99)
    assert torch.equal(with_noise(x, 0.7, 3, "a"), same)
    assert not torch.equal(with_noise(x, 0.7, 4, "a"), same)
    assert not torch.equal(with_noise(x, 0.7, 3, "b"), same)


def test_zeros_stay_and_a_single_number_has_no_noise():
    assert not with_noise(torch.zeros(4), 0.5, 0, "x").any()
    with pytest.raises(UsageError, match="single number"):
        with_noise(torch.ones(1), 0.5, 0, "x")


@pytest.mark.parametrize("part", [low_rank(2), Shift("m", torch.arange(9.0), 3.0)])
def test_random_parts_have_the_norm_and_another_direction(part):
    other = part.random(5)
    assert other.norm() == pytest.approx(part.norm(), rel=1e-5)
    for (name, new), old in zip(other.tensors().items(), part.tensors().values(), strict=True):
        assert new.shape == old.shape, name
        assert not torch.allclose(new, old)


def test_random_is_not_skewed():
    """Mean cosine of many random vectors with a fixed one is 0 within four standard errors."""
    v = Shift("m", torch.ones(40), 1.0)
    cosines = [float(torch.cosine_similarity(v.random(s).vector_D, v.vector_D, dim=0)) for s in range(400)]
    assert abs(sum(cosines) / 400) < 4 / math.sqrt(40 * 400)


def test_factors_get_noise_one_by_one():
    part = low_rank(3)
    mixed = part.noisy(0.6, 7)
    for new, old in ((mixed.A_RI, part.A_RI), (mixed.B_OR, part.B_OR)):
        assert float(new.norm()) == pytest.approx(float(old.norm()), rel=1e-6)
        assert float((new * old).sum() / old.square().sum()) == pytest.approx(0.8, abs=1e-6)
    assert mixed.norm() == pytest.approx(float(matrix(mixed).norm()), rel=1e-12)
