"""The spec: what is refused, and what counts in an id."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from axenic.directions import Direction
from axenic.errors import AxenicError, DirectionError, UsageError
from axenic.intervene import (
    PLAIN,
    Arm,
    Intervention,
    add,
    clamp,
    project_out,
    project_out_single,
    scale_adapter,
)

pytestmark = pytest.mark.unit

Make = Callable[..., Direction]
GOOD: dict[str, Any] = {"op": "add", "layers": (1,), "vectors_LD": torch.ones(1, 4)}


@pytest.mark.parametrize(
    "changes",
    [
        {"op": "project_out"},
        {"op": "clamp"},
        {"layers": (2,)},
        {"site": "attn_out"},
        {"strength": 2.0},
        {"strength": 1.0 + 1e-12},
        {"positions": "answer"},
        {"vectors_LD": torch.tensor([[1.0, 1.0, 1.0, 1.0 + 2e-7]])},
        {"vectors_LD": torch.ones(1, 5)},
        {"op": "scale_adapter", "vectors_LD": None},
        {"layers": (1, 2), "vectors_LD": torch.ones(2, 4)},
    ],
)
def test_everything_counts_in_the_id(changes: dict[str, Any]) -> None:
    one, other = Intervention(**GOOD), Intervention(**{**GOOD, **changes})
    assert one.id != other.id
    assert one != other
    assert Arm("a", (one,)).id != Arm("a", (other,)).id


def test_equal_content_is_equal() -> None:
    one = Intervention("add", (1,), vectors_LD=torch.ones(1, 4))
    other = Intervention("add", (1,), vectors_LD=torch.ones(1, 4, dtype=torch.float64), strength=1)
    assert one == other
    assert hash(one) == hash(other)
    assert one != "add"


def test_the_name_of_an_arm_does_not_count_and_the_order_does() -> None:
    one, other = Intervention(**GOOD), scale_adapter(0.0)
    assert Arm("a", (one, other)).id == Arm("b", (one, other)).id
    assert Arm("a", (one, other)).id != Arm("a", (other, one)).id
    assert PLAIN.id == Arm("whatever").id != Arm("a", (one,)).id


def test_vectors_cannot_be_changed_behind_the_id() -> None:
    vectors_LD = torch.ones(1, 4)
    one = Intervention("add", (1,), vectors_LD=vectors_LD)
    vectors_LD.zero_()
    assert one == Intervention(**GOOD)


def test_json_says_everything_and_hashes_the_vectors() -> None:
    arm = Arm("steer", (Intervention(**GOOD), scale_adapter(2, (0,))))
    facts = json.loads(json.dumps(arm.to_json()))
    assert facts["name"] == "steer"
    assert facts["interventions"][0]["op"] == "add"
    assert facts["interventions"][0]["layers"] == [1]
    assert len(facts["interventions"][0]["vectors"]["sha256"]) == 64
    assert facts["interventions"][1] == {
        "op": "scale_adapter",
        "layers": [0],
        "strength": 2.0,
        "positions": "all",
    }


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"op": "subtract"}, UsageError),
        ({"site": "down_proj"}, UsageError),
        ({"positions": "last"}, UsageError),
        ({"strength": float("nan")}, UsageError),
        ({"strength": float("inf")}, UsageError),
        ({"layers": None}, UsageError),
        ({"layers": ()}, UsageError),
        ({"layers": (-1,)}, UsageError),
        ({"layers": (1, 1), "vectors_LD": torch.ones(2, 4)}, UsageError),
        ({"op": "scale_adapter"}, UsageError),
        ({"vectors_LD": None}, DirectionError),
        ({"vectors_LD": torch.ones(4)}, DirectionError),
        ({"vectors_LD": torch.ones(2, 4)}, DirectionError),
        ({"vectors_LD": torch.full((1, 4), float("nan"))}, DirectionError),
        ({"vectors_LD": torch.full((1, 4), 1e300, dtype=torch.float64)}, DirectionError),
        ({"op": "project_out", "vectors_LD": torch.zeros(1, 4)}, DirectionError),
        ({"op": "clamp", "vectors_LD": torch.zeros(1, 4)}, DirectionError),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], error: type[AxenicError]) -> None:
    with pytest.raises(error):
        Intervention(**{**GOOD, **changes})


def test_adding_zero_is_allowed() -> None:
    assert Intervention("add", (0,), vectors_LD=torch.zeros(1, 4)).strength == 1.0


def test_the_embedding_is_layer_minus_one() -> None:
    assert Intervention("add", (-1,), "embed", torch.ones(1, 4)).layers == (-1,)


def test_constructors_take_the_row_of_the_layer(direction: Make) -> None:
    one = direction()
    steer = add(one, 2, 3)
    assert (steer.op, steer.layers, steer.strength, steer.site) == ("add", (2,), 3.0, "resid_post")
    assert torch.equal(steer.vectors_LD, one.vectors_LD[2:])
    assert torch.equal(add(one, [2, 0], 1).vectors_LD, one.vectors_LD[[2, 0]])
    assert clamp(one, 1, 4.0).strength == 4.0
    everywhere = project_out(one)
    assert everywhere.layers == (0, 1, 2)
    assert torch.equal(everywhere.vectors_LD, one.vectors_LD)
    assert project_out(one, [1], positions="answer").positions == "answer"
    single = project_out_single(one, 1)
    assert single.layers == (0, 1, 2)
    assert torch.equal(single.vectors_LD, one.vectors_LD[[1, 1, 1]])
    assert scale_adapter(0.0).layers is None
    assert scale_adapter(2.0, range(2)).layers == (0, 1)


def test_constructors_use_the_directions_site(direction: Make) -> None:
    assert add(direction(site="mlp_out"), 0, 1).site == "mlp_out"


@pytest.mark.parametrize("layer", [3, -1])
def test_a_layer_that_the_direction_lacks(direction: Make, layer: int) -> None:
    with pytest.raises(UsageError) as caught:
        add(direction(), layer, 1.0)
    assert caught.value.expected == "0 to 2"
