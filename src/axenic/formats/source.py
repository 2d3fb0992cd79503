"""A file of vectors, opened by what it holds and not by its name: its tensors, its texts, and the files beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from axenic.directions import DirectionInfo
from axenic.errors import FileError
from axenic.files import load_tensors, read_json
from axenic.files.disk import disk_errors
from axenic.formats.facts import Facts
from axenic.formats.gguf_file import MAGIC, read_gguf
from axenic.formats.pickles import read_pickle
from axenic.visible import visible

Container = Literal["safetensors", "gguf", "json", "pickle"]
MAX_JSON = 2**28
INSIDE = ("direction.pt", "steering_vector.pt", "direction.safetensors", "steering_vector.safetensors")
"""Files of which a folder of vectors holds exactly one; the others in it are beside it."""

BESIDE = ("direction_metadata.json", "adapter_config.json", "metadata.json")


@dataclass(frozen=True, eq=False)
class Source:
    """What was opened.

    Args:
        path: The file itself, also where a folder was given.
        container: What it turned out to be.
        value: Of JSON and pickles: dictionaries, lists, numbers, text, tensors. Of safetensors: tensors by name. Of GGUF
            the `GGUF`.
        metadata: Of safetensors.
        beside: JSON files of known names in the same folder, by name.
        allow_pickle: Whether further files may be pickles.
    """

    path: Path
    container: Container
    value: Any
    metadata: dict[str, str] = field(default_factory=dict)
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)
    allow_pickle: bool = False


NOTHING = Facts()


@dataclass(frozen=True)
class Description:
    """What a file is.

    Args:
        format: Its short name, as `axenic export --format` takes it where it can be written.
        title: The same in words, for "x.gguf is ...".
        says: Facts in the file.
        needs: Further facts without which its vectors cannot be placed or scaled.
        notes: What is worth knowing, one sentence each.
        carried: All facts of a direction, where Axenic wrote the file.
    """

    format: str
    title: str
    says: Facts = NOTHING
    needs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    carried: DirectionInfo | None = None


class PickleNotAllowed(FileError):
    """The file is a pickle, and nobody has allowed to read one."""


def open_source(path: Path, *, allow_pickle: bool) -> Source:
    """Open a file, or the one file of vectors in a folder.

    Raises:
        PickleNotAllowed: A pickle, and `allow_pickle` is false; nothing of it has been read but its first bytes.
        FileError: Missing, of an unknown kind, damaged.
    """
    if path.is_dir():
        found = [path / name for name in INSIDE if (path / name).is_file()]
        if len(found) != 1:
            raise FileError(
                f"the folder {path.name} does not hold one file of vectors",
                where=path,
                expected=f"one of {', '.join(INSIDE)}",
                found=", ".join(file.name for file in found) or "none of them",
                hint="name the file itself",
            )
        path = found[0]
    container = _container(path)
    beside = {name: _object(path.with_name(name)) for name in BESIDE if path.with_name(name).is_file()}
    if container == "gguf":
        return Source(path, container, read_gguf(path), beside=beside)
    if container == "json":
        return Source(path, container, read_json(path), beside=beside, allow_pickle=allow_pickle)
    if container == "safetensors":
        tensors, metadata = load_tensors(path, finite=False)
        return Source(path, container, tensors, metadata, beside, allow_pickle)
    if not allow_pickle:
        raise PickleNotAllowed(
            f"{path.name} is a pickle (torch.save), which can hold a program",
            where=path,
            expected="safetensors, GGUF or JSON; or your word that it may be read",
            hint=f"axenic import {path} --allow-pickle   (read by a process of its own that knows tensors and text only)",
        )
    return Source(path, container, read_pickle(path), beside=beside, allow_pickle=True)


def _container(path: Path) -> Container:
    if path.exists() and not path.is_file():
        raise FileError(f"{path.name} is not a regular file", where=path)
    with disk_errors(path, "read"), path.open("rb") as handle:
        start = handle.read(4096)
        size = handle.seek(0, 2)
    if start[:4] == MAGIC:
        return "gguf"
    # A safetensors header may begin with 0x80 as well, and has its brace at byte 8.
    pickled = (
        start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and start[8:9] != b"{"
    )
    if pickled or start[:4] == b"PK\x03\x04":
        return "pickle"
    text = start.lstrip(b" \t\r\n")[:1] in (b"{", b"[")
    header = int.from_bytes(start[:8], "little")
    if text and header > size:
        if size > MAX_JSON:
            raise FileError(f"{path.name} is too large for JSON", where=path, found=f"{size:,} bytes")
        return "json"
    return "safetensors"


def _object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise FileError(f"{path.name} is not a JSON object", where=path, found=type(value).__name__)
    return value


def vector_of(value: Any, where: str, path: Path) -> Tensor:
    """One vector [D] as float32; [D, 1] and [1, D] are vectors too.

    Raises:
        FileError: Anything else.
    """
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.numel() == 0:
        raise FileError(
            f"{where} of {path.name} is not a vector",
            where=path,
            expected="floating-point numbers [D]",
            found=f"{value.dtype} {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__,
        )
    if max(value.shape, default=0) != value.numel():
        raise FileError(
            f"{where} of {path.name} is not one vector", where=path, expected="[D]", found=list(value.shape)
        )
    return value.reshape(-1).to(torch.float32)


def whole(value: Any, where: str, path: Path) -> int:
    """A whole number that the file states.

    Raises:
        FileError: It is something else, or absurd.
    """
    if type(value) is not int or abs(value) >= 2**31:
        raise FileError(
            f"{where} of {path.name} is not a layer or a size", where=path, found=repr(value)[:60]
        )
    return value


def real(value: Any, where: str, path: Path) -> float:
    """A number that the file states, to multiply vectors by.

    Raises:
        FileError: It is something else, or beyond all sense.
    """
    # Compared before it is converted: JSON and pickles have whole numbers that no float can hold.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < abs(value) < 1e30:
        raise FileError(
            f"{where} of {path.name} is not a number that a vector can have",
            where=path,
            expected="a number, not 0, between -1e30 and 1e30",
            found=ascii(value)[:40],
        )
    return float(value)


def text_in(value: Any) -> str | None:
    """A text that the file states, made safe to show; None for anything else."""
    return visible(value[:300]) if isinstance(value, str) and value else None
