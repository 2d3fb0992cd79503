"""The GGUF reader and writer against files that claim more than they hold."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axenic.errors import FileError
from axenic.formats.gguf_file import read_gguf, write_gguf

pytestmark = pytest.mark.unit


def text(words: str) -> bytes:
    return struct.pack("<Q", len(words)) + words.encode()


def tensor(name: str, dims: list[int], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


def file(
    body: bytes = b"", *, version: int = 3, n_tensors: int = 0, n_pairs: int = 0, data: bytes = bytes(64)
) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_pairs) + body
    return head + bytes(-len(head) % 32) + data


@given(
    pairs=st.dictionaries(
        st.text(max_size=9),
        st.text(max_size=20) | st.integers(0, 2**32 - 1) | st.lists(st.just(0.5), min_size=1, max_size=9),
        max_size=5,
    ),
    widths=st.lists(st.integers(1, 40), max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, pairs: dict[str, str | int | list[float]], widths: list[int]
) -> None:
    path = tmp_path_factory.mktemp("gguf") / "x"
    tensors = {f"direction.{i}": torch.rand(width) for i, width in enumerate(widths)}
    pairs.pop("general.architecture", None)
    write_gguf(path, pairs, tensors)
    again = read_gguf(path)
    assert again.pairs == pairs
    assert all(torch.equal(again.tensors[name], row) for name, row in tensors.items())
    assert again.tensors.keys() == tensors.keys()


def test_other_dtypes_and_dimensions_in_torchs_order(tmp_path: Path) -> None:
    rows = torch.arange(6.0).reshape(2, 3)
    for kind, dtype in ((1, torch.float16), (30, torch.bfloat16), (28, torch.float64)):
        raw = rows.to(dtype).view(torch.uint8).numpy().tobytes()
        (tmp_path / "x").write_bytes(file(tensor("t", [3, 2], kind), n_tensors=1, data=raw))
        assert torch.equal(read_gguf(tmp_path / "x").tensors["t"].float(), rows)


@pytest.mark.fault
@pytest.mark.parametrize(
    "raw",
    [
        b"", b"GGUF", b"GGML" + bytes(60), file(version=1), file(version=4),
        file(n_tensors=2**63), file(n_pairs=2**64 - 1), file(n_pairs=1, data=b""),
        file(struct.pack("<Q", 2**63), n_pairs=1),
        file(text("k") + struct.pack("<I", 99), n_pairs=1),
        file(text("k") + struct.pack("<IIQ", 9, 9, 1), n_pairs=1),
        file(text("k") + struct.pack("<IIQ", 9, 6, 2**62), n_pairs=1),
        file(text("k") + struct.pack("<IIQ", 9, 8, 2**32), n_pairs=1),
        file((text("k") + struct.pack("<II", 4, 1)) * 2, n_pairs=2),
        file(text("general.alignment") + struct.pack("<II", 4, 0), n_pairs=1),
        file(text("general.alignment") + struct.pack("<II", 4, 2**31), n_pairs=1),
        file(text("general.alignment") + struct.pack("<I", 8) + text("32"), n_pairs=1),
        file(tensor("t", [17]), n_tensors=1), file(tensor("t", [16], offset=4), n_tensors=1),
        file(tensor("t", [1], offset=2**64 - 1), n_tensors=1), file(tensor("t", [2**32, 2**32]), n_tensors=1),
        file(tensor("t", [0]), n_tensors=1), file(tensor("t", []), n_tensors=1), file(tensor("t", [1] * 5), n_tensors=1),
        file(tensor("t", [16], kind=2), n_tensors=1), file(tensor("t", [1]) * 2, n_tensors=2),
        file(struct.pack("<Q", 2) + b"\xff\xfe", n_pairs=1),
        file(b"".join(tensor(f"t{i}", [16]) for i in range(9)), n_tensors=9),
    ],
)  # fmt: skip
def test_what_is_no_gguf_file(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "x").write_bytes(raw)
    tracemalloc.start()
    with pytest.raises(FileError, match="not a valid GGUF") as caught:
        read_gguf(tmp_path / "x")
    assert tracemalloc.get_traced_memory()[1] < 10**7, "a claim must not be believed before it is checked"
    tracemalloc.stop()
    assert str(tmp_path / "x") in str(caught.value.where)
