"""The safetensors layout: what the library makes of our headers."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch

from axenic.errors import DataError
from axenic.files.layout import Entry, lay_out

pytestmark = pytest.mark.unit


def test_head_is_aligned_and_sorted() -> None:
    layout = lay_out(
        [Entry("u", "U8", (3,)), Entry("b", "F32", (2, 2)), Entry("a", "F32", (1,))], {"z": "1", "y": "é"}
    )
    assert len(layout.head) % 8 == 0
    header = json.loads(layout.head[8:])
    assert list(header["__metadata__"]) == ["y", "z"]
    assert header["a"]["data_offsets"] == [0, 4]
    assert header["b"]["data_offsets"] == [4, 20]
    assert header["u"]["data_offsets"] == [20, 23]
    assert layout.total == len(layout.head) + 23
    assert layout.offsets["b"] == len(layout.head) + 4


def test_the_library_accepts_it() -> None:
    layout = lay_out([Entry("scalar", "I64", ()), Entry("empty", "F32", (0, 3)), Entry("x", "F32", (2,))], {})
    raw = layout.head + (7).to_bytes(8, "little") + torch.tensor([1.0, 2.0]).numpy().tobytes()
    assert len(raw) == layout.total
    loaded = safetensors.torch.load(raw)
    assert loaded["scalar"].item() == 7
    assert loaded["empty"].shape == (0, 3)
    assert loaded["x"].tolist() == [1.0, 2.0]


def test_same_content_in_another_order_is_the_same_head() -> None:
    a, b = Entry("a", "F32", (1,)), Entry("b", "F32", (2,))
    assert lay_out([a, b], {"x": "1", "y": "2"}) == lay_out([b, a], {"y": "2", "x": "1"})


@pytest.mark.parametrize("metadata", [{"a": 1}, {1: "a"}, {"a": None}])
def test_metadata_is_text(metadata: dict[str, str]) -> None:
    with pytest.raises(DataError, match="text only"):
        lay_out([], metadata)


@pytest.mark.parametrize("names", [["a", "a"], ["__metadata__"]])
def test_names_are_unique_and_free(names: list[str]) -> None:
    with pytest.raises(DataError):
        lay_out([Entry(name, "U8", (1,)) for name in names], {})
