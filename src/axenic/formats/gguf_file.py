"""A small GGUF reader and writer: what control vectors need, safe with files of strangers.

Format (ggml/docs/gguf.md): magic, version, counts, key-value pairs, tensor descriptions, padding, data; little-endian.
The reader knows where the file ends: no length, count or offset in it is believed before it is compared with that.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from axenic.errors import FileError
from axenic.files import atomic_write
from axenic.files.disk import disk_errors

MAGIC = b"GGUF"
ARCHITECTURE = "controlvector"
MOST, LONGEST, LARGEST = 65_536, 2**24, 2**32
"""Tensors or pairs of a file, the bytes of one text, the bytes of a file: a control vector has some hundreds of each."""

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_DTYPES = {0: torch.float32, 1: torch.float16, 28: torch.float64, 30: torch.bfloat16}


@dataclass(frozen=True, eq=False)
class GGUF:
    """A GGUF file: `pairs` are numbers, text, and lists of them; `tensors` in torch's order of dimensions."""

    pairs: dict[str, Any]
    tensors: dict[str, Tensor]


def read_gguf(path: Path) -> GGUF:
    """Read a small GGUF file whole.

    Raises:
        FileError: Missing, damaged, of another version, quantised, or a file that claims more than it holds.
    """
    with disk_errors(path, "read"), path.open("rb") as handle:
        cursor = _Cursor(path, handle, os.fstat(handle.fileno()).st_size)
        if cursor.take(4) != MAGIC:
            raise cursor.wrong("it does not begin with GGUF")
        version = cursor.number("I")
        if version not in (2, 3):
            raise cursor.wrong(f"version {version}", "version 2 or 3, little-endian")
        n_tensors, n_pairs = cursor.count(), cursor.count()
        pairs: dict[str, Any] = {}
        for _ in range(n_pairs):
            key = cursor.text()
            if key in pairs:
                raise cursor.wrong(f"two values of {key[:60]!a}")
            pairs[key] = cursor.value(cursor.number("I"))
            if pairs.get("general.architecture", ARCHITECTURE) != ARCHITECTURE:
                # Now, before a language model's vocabulary and its gigabytes of tensors.
                return GGUF(pairs, {})
        described = [_described(cursor) for _ in range(n_tensors)]
        alignment = pairs.get("general.alignment", 32)
        if type(alignment) is not int or not 8 <= alignment <= 65_536 or alignment % 8:
            raise cursor.wrong(f"an alignment of {str(alignment)[:40]}")
        data = -(-cursor.at // alignment) * alignment
        claimed = sum(math.prod(shape) * dtype.itemsize for _, shape, dtype, _ in described)
        if claimed > cursor.size - data or cursor.size > LARGEST:
            # Each may fit by itself and all lie in the same place: together they must fit too.
            raise cursor.wrong(f"tensors of {claimed:,} bytes in a file of {cursor.size:,}")
        tensors: dict[str, Tensor] = {}
        for name, shape, dtype, offset in described:
            if name in tensors:
                raise cursor.wrong(f"two tensors {name[:60]!a}")
            cursor.seek(data + offset)
            raw = cursor.take(math.prod(shape) * dtype.itemsize)
            tensors[name] = torch.frombuffer(bytearray(raw), dtype=dtype).reshape(shape)
    return GGUF(pairs, tensors)


def write_gguf(
    path: Path, pairs: Mapping[str, str | int | list[float]], tensors: Mapping[str, Tensor]
) -> None:
    """Write a GGUF file of version 3, atomically; numbers as uint32, lists and tensors as float32.

    Raises:
        DiskFullError, FileError: It cannot be written.
    """
    body = MAGIC + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    for key, value in pairs.items():
        body += _text(key)
        if isinstance(value, str):
            body += struct.pack("<I", _TEXT) + _text(value)
        elif isinstance(value, int):
            body += struct.pack("<II", 4, value)
        else:
            body += struct.pack(f"<IIQ{len(value)}f", _ARRAY, 6, len(value), *value)
    data = b""
    for name, tensor in tensors.items():
        shape = tuple(reversed(tensor.shape))
        body += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        raw = tensor.detach().to("cpu", torch.float32).contiguous().numpy().tobytes()
        data += raw + bytes(-len(raw) % 32)
    atomic_write(path, body + bytes(-len(body) % 32) + data)


class _Cursor:
    """Reads on from a place in the file, never past its end."""

    def __init__(self, path: Path, handle: BinaryIO, size: int) -> None:
        self.path, self._handle, self.size, self.at = path, handle, size, 0

    def wrong(self, found: str, expected: str = "a whole GGUF file of a control vector") -> FileError:
        return FileError(
            f"{self.path.name} is not a valid GGUF file",
            where=f"{self.path}, byte {self.at:,}",
            expected=expected,
            found=found,
        )

    def seek(self, place: int) -> None:
        if not 0 <= place <= self.size:
            raise self.wrong(f"something at byte {place:,} of {self.size:,}")
        self._handle.seek(place)
        self.at = place

    def take(self, n: int) -> bytes:
        if n > self.size - self.at:
            raise self.wrong(f"{n:,} bytes are claimed, {self.size - self.at:,} are left")
        raw = self._handle.read(n)
        if len(raw) != n:
            raise self.wrong("the file became shorter while it was read")
        self.at += n
        return raw

    def number(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def count(self) -> int:
        n: int = self.number("Q")
        if n > MOST:
            raise self.wrong(f"a count of {n:,}", f"at most {MOST:,}")
        return n

    def text(self) -> str:
        length: int = self.number("Q")
        if length > LONGEST:
            raise self.wrong(f"a text of {length:,} bytes")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.wrong(f"a text that is not UTF-8: {error.reason}") from error

    def value(self, kind: int) -> Any:
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        if kind == _TEXT:
            return self.text()
        if kind != _ARRAY:
            raise self.wrong(f"a value of type {kind}")
        inner, count = self.number("I"), self.number("Q")
        if inner == _TEXT and count <= MOST:
            return [self.text() for _ in range(count)]
        if inner not in _NUMBERS or count > LONGEST:
            raise self.wrong(f"a list of {count:,} values of type {inner}")
        code = f"<{count}{_NUMBERS[inner]}"
        return list(struct.unpack(code, self.take(struct.calcsize(code))))


def _described(cursor: _Cursor) -> tuple[str, tuple[int, ...], torch.dtype, int]:
    name, n_dims = cursor.text(), cursor.number("I")
    if not 1 <= n_dims <= 4:
        raise cursor.wrong(f"a tensor of {n_dims:,} dimensions")
    shape = tuple(cursor.number("Q") for _ in range(n_dims))
    kind, offset = cursor.number("I"), cursor.number("Q")
    if kind not in _DTYPES:
        raise cursor.wrong(f"tensor {name[:60]!a} of type {kind}", "float32, float16, bfloat16 or float64")
    if math.prod(shape) == 0:
        raise cursor.wrong(f"tensor {name[:60]!a} without numbers")
    return name, tuple(reversed(shape)), _DTYPES[kind], offset


def _text(text: str) -> bytes:
    raw = text.encode("utf-8")
    return struct.pack("<Q", len(raw)) + raw
