"""The arithmetic by itself: its algebra, and what bfloat16 leaves of a direction."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from axenic.intervene.compile import Step
from axenic.intervene.kernels import plan_kernels
from axenic.intervene.spec import Op

pytestmark = pytest.mark.unit


def act(h_BTD: Tensor, steps_of_arm: list[list[Step]], rows_of_arm: list[list[int]]) -> Tensor:
    for kernel in plan_kernels(steps_of_arm, rows_of_arm, h_BTD.device, h_BTD.dtype):
        h_BTD = kernel.apply(h_BTD, None)
    return h_BTD


def step(op: Op, vector_D: Tensor, strength: float = 1.0) -> Step:
    return Step(op, "all", strength, vector_D)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor, float, list[list[int]]]:
    """Activations [B, T, D] in float64, a vector [D], a strength, and the rows of two arms (the first is plain)."""
    rows, tokens, width = draw(st.integers(1, 6)), draw(st.integers(1, 4)), draw(st.integers(1, 24))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scale = 10.0 ** draw(st.integers(-3, 3))
    h_BTD = scale * torch.randn(rows, tokens, width, generator=generator, dtype=torch.float64)
    vector_D = 10.0 ** draw(st.integers(-3, 3)) * torch.randn(width, generator=generator)
    treated = draw(st.sets(st.integers(0, rows - 1)))
    return (
        h_BTD,
        vector_D,
        draw(st.floats(-10, 10)),
        [sorted(set(range(rows)) - treated), sorted(treated)],
    )


def along(h_BTD: Tensor, vector_D: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinate along the unit vector, and what is orthogonal to it."""
    u_D = vector_D.double() / vector_D.double().norm()
    coordinate_BT = h_BTD @ u_D
    return coordinate_BT, h_BTD - coordinate_BT[..., None] * u_D


@settings(max_examples=30, deadline=None)
@given(batches())
def test_projecting_out_is_idempotent_and_leaves_the_rest(
    batch: tuple[Tensor, Tensor, float, list[list[int]]],
) -> None:
    h_BTD, vector_D, _, rows = batch
    steps = [[], [step("project_out", vector_D)]]
    once_BTD = act(h_BTD, steps, rows)
    tolerance = 1e-12 * float(h_BTD.abs().max())
    torch.testing.assert_close(act(once_BTD, steps, rows), once_BTD, atol=tolerance, rtol=0)
    (_, rest), (coordinate, rest_once) = along(h_BTD, vector_D), along(once_BTD, vector_D)
    torch.testing.assert_close(rest_once, rest, atol=tolerance, rtol=0)
    if rows[1]:
        assert float(coordinate[rows[1]].abs().max()) <= tolerance
    assert torch.equal(once_BTD[rows[0]], h_BTD[rows[0]])


@settings(max_examples=30, deadline=None)
@given(batches())
def test_clamping_sets_the_coordinate(batch: tuple[Tensor, Tensor, float, list[list[int]]]) -> None:
    h_BTD, vector_D, value, rows = batch
    new_BTD = act(h_BTD, [[], [step("clamp", vector_D, value)]], rows)
    coordinate_BT, rest_BTD = along(new_BTD, vector_D)
    tolerance = 1e-12 * (float(h_BTD.abs().max()) + abs(value))
    expected_BT = torch.full_like(coordinate_BT, value)
    torch.testing.assert_close(coordinate_BT[rows[1]], expected_BT[rows[1]], atol=tolerance, rtol=0)
    torch.testing.assert_close(rest_BTD, along(h_BTD, vector_D)[1], atol=tolerance, rtol=0)
    assert torch.equal(new_BTD[rows[0]], h_BTD[rows[0]])


@settings(max_examples=30, deadline=None)
@given(batches())
def test_adding_and_taking_away_again(batch: tuple[Tensor, Tensor, float, list[list[int]]]) -> None:
    h_BTD, vector_D, strength, rows = batch
    there = [[], [step("add", vector_D, strength), step("add", vector_D, -strength)]]
    tolerance = 1e-13 * (float(h_BTD.abs().max()) + abs(strength) * float(vector_D.abs().max()))
    torch.testing.assert_close(act(h_BTD, there, rows), h_BTD, atol=tolerance, rtol=0)
    moved_BTD = act(h_BTD, [[], there[1][:1]], rows) - h_BTD
    torch.testing.assert_close(
        moved_BTD[rows[1]],
        (strength * vector_D.double()).expand_as(moved_BTD[rows[1]]),
        atol=tolerance,
        rtol=0,
    )


@settings(max_examples=30, deadline=None)
@given(batches())
def test_clamping_to_zero_is_projecting_out(batch: tuple[Tensor, Tensor, float, list[list[int]]]) -> None:
    h_BTD, vector_D, _, rows = batch
    one_BTD = act(h_BTD, [[], [step("clamp", vector_D, 0.0)]], rows)
    other_BTD = act(h_BTD, [[], [step("project_out", vector_D)]], rows)
    torch.testing.assert_close(one_BTD, other_BTD, atol=1e-12 * float(h_BTD.abs().max()), rtol=0)


@pytest.mark.parametrize("op", ["add", "project_out", "clamp"])
def test_shared_and_gathered_vectors_agree(op: Op) -> None:
    generator = torch.Generator().manual_seed(0)
    h_BTD, vectors_2D = torch.randn(6, 2, 32, generator=generator), torch.randn(2, 32, generator=generator)
    arms = [[step(op, vector_D, 0.7)] for vector_D in vectors_2D]
    rows = [[4, 0, 1], [2, 5, 3]]
    mixed_BTD = act(h_BTD, arms, rows)
    for arm, own in zip(arms, rows, strict=True):
        alone_BTD = act(h_BTD, [arm], [list(range(6))])
        torch.testing.assert_close(mixed_BTD[own], alone_BTD[own], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mixed", [False, True])
def test_bfloat16_leaves_little_of_the_direction(mixed: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    vector_D = torch.randn(2048, generator=generator)
    u_D = vector_D.double() / vector_D.double().norm()
    h_BTD = (torch.randn(8, 16, 2048, generator=generator) + 20 * u_D.float()).bfloat16()
    arms = [[step("project_out", vector_D)], [step("project_out", -vector_D)]]
    rows = [[0, 2, 4, 6], [1, 3, 5, 7]] if mixed else [list(range(8)), []]
    new_BTD = act(h_BTD, arms, rows)
    assert new_BTD.dtype == torch.bfloat16
    leftover = (new_BTD.double() @ u_D).norm() / (h_BTD.double() @ u_D).norm()
    # The rounding of the result itself; a bfloat16 dot product leaves several times as much.
    assert float(leftover) < 4e-4
    u_bf = u_D.bfloat16()
    naive_BTD = h_BTD - (h_BTD @ u_bf)[..., None] * u_bf
    assert float((naive_BTD.double() @ u_D).norm() / (h_BTD.double() @ u_D).norm()) > 2 * float(leftover)


@pytest.mark.parametrize("op", ["add", "project_out", "clamp", "scale_adapter"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_dtype_is_kept_and_the_input_is_not_written(op: Op, dtype: torch.dtype) -> None:
    h_BTD = torch.ones(3, 2, 4, dtype=dtype)
    one = Step(op, "all", 2.0, None if op == "scale_adapter" else torch.tensor([1.0, 2.0, 0.0, 0.0]))
    for rows in ([[0, 1, 2], []], [[1], [0, 2]], [[], [0, 1, 2]]):
        new_BTD = act(h_BTD, [[one], []], rows)
        assert new_BTD.dtype == dtype
        assert new_BTD.shape == h_BTD.shape
    assert torch.equal(h_BTD, torch.ones_like(h_BTD))
