"""Option values: layers, strengths, settings, lists."""

from __future__ import annotations

import pytest

from axenic.cli.parse import parse_layers, parse_settings, parse_strengths, spread_lists
from axenic.errors import UsageError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "layers"),
    [("3", (3,)), ("1,2,3", (1, 2, 3)), ("1-4", (1, 2, 3, 4)), ("0,4-6, 5", (0, 4, 5, 6)), ("2-2", (2,))],
)
def test_layers(text: str, layers: tuple[int, ...]) -> None:
    assert parse_layers(text) == layers


@pytest.mark.parametrize("text", ["", "a", "1,,2", "4-1", "-1", "1-", "1.5", "0-99999999", "٣;", "1 2"])
def test_layers_that_cannot_be_read(text: str) -> None:
    with pytest.raises(UsageError, match="--layers"):
        parse_layers(text)


def test_strengths() -> None:
    assert parse_strengths("0.5,1, 2") == (0.5, 1.0, 2.0)


@pytest.mark.parametrize("text", ["", "x", "nan", "1,inf", "1,,2"])
def test_strengths_that_cannot_be_read(text: str) -> None:
    with pytest.raises(UsageError, match="--strengths"):
        parse_strengths(text)


def test_settings() -> None:
    found = parse_settings(
        ["r=8", "layers=1-3", "use-rslora=false", "max_steps=none", "target_modules=[q_proj, v_proj]"]
    )
    assert found == {
        "r": "8", "layers": (1, 2, 3), "use_rslora": False, "max_steps": None, "target_modules": ("q_proj", "v_proj"),
    }  # fmt: skip


@pytest.mark.parametrize("pairs", [["r"], ["=8"], ["r=8", "r=9"]])
def test_settings_that_cannot_be_read(pairs: list[str]) -> None:
    with pytest.raises(UsageError, match="--set"):
        parse_settings(pairs)


def test_lists_are_spread() -> None:
    words = ["transfer", "--organisms", "a", "b", "--directions", "c", "d", "--json"]
    assert spread_lists(words) == [
        "transfer", "--organisms", "a", "--organisms", "b", "--directions", "c", "--directions", "d", "--json",
    ]  # fmt: skip


def test_repeated_options_stay_as_they_are() -> None:
    words = ["transfer", "--organisms", "a", "--organisms", "b"]
    assert spread_lists(words) == words


def test_other_options_are_left_alone() -> None:
    words = ["sample", "--organism", "a", "--seed", "1"]
    assert spread_lists(words) == words
