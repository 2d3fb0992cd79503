"""Configurations side by side."""

from __future__ import annotations

import json

import pytest

from axenic.report.configs import MOST_CELL, MOST_KEYS, configs_table

pytestmark = pytest.mark.unit


def test_shared_keys_once_and_different_ones_in_a_table() -> None:
    shared, table = configs_table(
        {
            "a": {"config": {"r": 1, "seed": 0}, "model": "nano"},
            "b": {"config": {"r": 1, "seed": 1}, "model": "nano"},
        }
    )
    assert json.loads(shared) == {"config.r": "1", "model": "nano"}
    assert table is not None
    assert (table.columns, table.rows) == (("file", "config.seed"), (("a", "0"), ("b", "1")))


def test_a_key_that_one_lacks_differs() -> None:
    shared, table = configs_table({"a": {"layers": [1]}, "b": {}})
    assert json.loads(shared) == {}
    assert table is not None
    assert table.rows == (("a", "[1]", "–"), ("b", "–", "{}"))


def test_one_configuration_shares_everything() -> None:
    shared, table = configs_table({"a": {"x": None, "y": "text"}})
    assert (json.loads(shared), table) == ({"x": "null", "y": "text"}, None)
    assert configs_table({}) == ("{}", None)


def test_a_table_stays_small() -> None:
    _, table = configs_table({name: {f"k{i}": name * 500 for i in range(500)} for name in "ab"})
    assert table is not None
    assert len(table.columns) == 1 + MOST_KEYS
    assert max(len(cell) for row in table.rows for cell in row) == MOST_CELL + 1
