"""Muon: updates are orthogonal, of the length asked for, and go downhill."""

from __future__ import annotations

import pytest
import torch

from axenic.nano.muon import Muon, orthogonalise

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("shape", [(2, 16, 16), (3, 24, 8), (1, 8, 24)])
def test_singular_values_come_near_one(shape: tuple[int, int, int]) -> None:
    stack = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(stack))
    assert values.max() < 1.3
    assert values.min() > 0.4


def test_singular_vectors_are_kept() -> None:
    stack = torch.randn(1, 12, 12, generator=torch.Generator().manual_seed(1))
    u, _, vh = torch.linalg.svd(stack[0])
    turned = u.T @ orthogonalise(stack)[0] @ vh.T
    assert (turned - torch.diag(torch.diagonal(turned))).abs().max() < 1e-4


def test_the_scale_of_the_gradient_does_not_matter() -> None:
    stack = torch.randn(1, 8, 12, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(orthogonalise(stack), orthogonalise(1000 * stack), atol=1e-3)


def test_it_solves_a_least_squares_problem() -> None:
    generator = torch.Generator().manual_seed(3)
    target = torch.randn(6, 4, generator=generator)
    weight = torch.nn.Parameter(torch.zeros(6, 4))
    optimizer = Muon([weight], lr=0.2, weight_decay=0.0)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.2 * (1 - step / 300)
        loss = ((weight - target) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1e-3


def test_weight_decay_shrinks_weights_without_a_gradient() -> None:
    weight = torch.nn.Parameter(torch.eye(4))
    weight.grad = torch.zeros(4, 4)
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(weight.detach(), 0.95 * torch.eye(4), atol=1e-6)
