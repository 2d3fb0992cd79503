"""The bytes of a safetensors file, laid out by ourselves.

Format (huggingface/safetensors, README): 8 bytes little-endian length, that many bytes of JSON header padded
with spaces, then the data of all tensors without gaps. Written here because the library neither streams nor
writes in place, and because our headers are the same bytes on every run: sorted keys, metadata included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from axenic.errors import DataError
from axenic.files.jsontext import canonical_json

ITEM_BYTES = {
    "F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip


class Entry(NamedTuple):
    """One tensor of the file: its name, safetensors dtype and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        return ITEM_BYTES[self.dtype] * math.prod(self.shape)


class Layout(NamedTuple):
    """Where everything lies: the head's bytes, each tensor's byte offset in the file, the file's length."""

    head: bytes
    offsets: dict[str, int]
    total: int


def lay_out(entries: Sequence[Entry], metadata: Mapping[str, str]) -> Layout:
    """Lay tensors out one after the other, widest dtype first so that each is aligned, then by name.

    Raises:
        DataError: Metadata is not text to text, or a tensor has the reserved name `__metadata__`.
    """
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise DataError(
                "metadata of a safetensors file is text only", expected="text", found=f"{key!r}: {value!r}"
            )
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    starts: dict[str, int] = {}
    end = 0
    for entry in sorted(entries, key=lambda entry: (-ITEM_BYTES[entry.dtype], entry.name)):
        if entry.name in header or entry.name == "__metadata__":
            raise DataError("two tensors of one name, or a reserved one", found=entry.name)
        starts[entry.name], end = end, end + entry.n_bytes
        header[entry.name] = {
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "data_offsets": [starts[entry.name], end],
        }
    text = canonical_json(header).encode("utf-8")
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text
    return Layout(head, {name: len(head) + start for name, start in starts.items()}, len(head) + end)
