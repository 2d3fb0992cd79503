"""The facts of a direction."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from axenic.directions import DirectionInfo

pytestmark = pytest.mark.unit


def test_every_fact_is_required(facts: dict[str, Any]) -> None:
    assert set(facts) == set(DirectionInfo.model_fields)
    for name in facts:
        with pytest.raises(ValidationError, match=name):
            DirectionInfo(**{key: value for key, value in facts.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("operation", "subtract"),
        ("site", "mlp.down_proj"),
        ("layer_convention", "hidden_states"),
        ("normalisation", "l2"),
        ("hidden_size", 0),
        ("hidden_size", "6"),
        ("n_layers", 4.0),
        ("n_layers", True),
        ("name", ""),
        ("recipe", {"loss": float("nan")}),
        ("recipe", {"layers": (1, 2)}),
        ("calibration", {"x": [float("inf")]}),
        ("calibration", None),
        ("stray", 1),
    ],
)
def test_wrong_facts_are_refused(facts: dict[str, Any], name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        DirectionInfo(**{**facts, name: value})


def test_facts_do_not_change(info: DirectionInfo) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        info.name = "other"  # type: ignore[misc]
