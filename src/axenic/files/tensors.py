"""Tensor files: safetensors only, checked before anything is made of them. A pickle is never opened."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axenic.errors import DataError, FileError
from axenic.files.atomic import replacing
from axenic.files.disk import disk_errors, write_all
from axenic.files.layout import ITEM_BYTES, Entry, lay_out

if TYPE_CHECKING:
    # torch takes seconds to import; only the calls below need it, not the users of tables and manifests.
    from torch import Tensor

MAX_BYTES = 16 * 2**30
Shapes = Mapping[str, tuple[int | None, ...]]

PICKLE = "a pickle (torch.save)"
_FOREIGN = {
    b"PK\x03\x04": PICKLE,
    b"PK\x05\x06": "an empty zip archive",
    b"GGUF": "a GGUF file",
    b"\x93NUM": "a numpy file",
    b"\x89HDF": "an HDF5 file",
}


def save_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors as one safetensors file, atomically; equal content gives equal bytes.

    Args:
        path: The file.
        tensors: Any shapes and devices; dtype float16, bfloat16, float32, float64, an integer or bool.
        metadata: Text to text.

    Raises:
        DataError: A dtype that is not supported, or metadata that is not text.
        DiskFullError, FileError: As for `atomic_write`.
    """
    import torch

    entries = [
        Entry(name, _dtype_name(name, tensor), tuple(tensor.shape)) for name, tensor in tensors.items()
    ]
    layout = lay_out(entries, metadata or {})
    with replacing(Path(path), layout.total) as fd:
        write_all(fd, layout.head)
        for name in layout.offsets:
            flat = tensors[name].detach().to("cpu").contiguous().reshape(-1)
            if flat.numel():
                write_all(fd, flat.view(torch.uint8).numpy().data)


def load_tensors(
    path: str | Path, *, expect: Shapes | None = None, finite: bool = True, max_bytes: int = MAX_BYTES
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file that may come from a stranger.

    Args:
        path: The file.
        expect: The exact set of tensor names and their shapes; None in a shape allows any length there.
            Checked before any data is read.
        finite: Whether NaN and infinities are refused.
        max_bytes: The largest file that is opened; 16 GiB unless told.

    Returns:
        The tensors by name, on the CPU, each with memory of its own; the metadata, empty if there is none.

    Raises:
        FileError: Missing, too large, a pickle or of another kind, not valid safetensors, with other tensors
            or shapes than expected, or with values that are not finite.
    """
    import torch

    path = Path(path)
    with _opened(path, max_bytes) as file:
        entries = _entries(path, file)
        if expect is not None:
            _check_expected(path, entries, expect)
        # Cloned: the library may hand out a view of the mapped file, which somebody may write to later.
        tensors = {name: file.get_tensor(name).clone() for name in entries}
        metadata = dict(file.metadata() or {})
    for name, tensor in tensors.items() if finite else ():
        if tensor.is_floating_point():
            bad = tensor.numel() - int(torch.isfinite(tensor).sum())
            if bad:
                raise FileError(
                    f"{path.name} holds values that are not finite",
                    where=f"{path}, tensor {name}",
                    expected="no NaN and no infinity",
                    found=f"{bad:,} of {tensor.numel():,} values",
                )
    return tensors, metadata


def inspect_tensors(path: Path) -> tuple[dict[str, Entry], dict[str, str]]:
    """Every tensor's name, dtype and shape, and the metadata; reads no data. Raises as `load_tensors`."""
    with _opened(path, None) as file:
        return _entries(path, file), dict(file.metadata() or {})


def read_tensor(path: Path, name: str) -> Tensor:
    """One tensor of a safetensors file, on the CPU, with memory of its own: for files larger than the memory.

    Raises:
        FileError: As `load_tensors`; or no such tensor, or values in it that are not finite.
    """
    import torch

    with _opened(path, None) as file:
        if name not in file.keys():  # noqa: SIM118 - the file is no mapping
            raise FileError(f"{path.name} has no tensor {name}", where=path)
        tensor: Tensor = file.get_tensor(name).clone()
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise FileError(f"{path.name} holds values that are not finite", where=f"{path}, tensor {name}")
    return tensor


@contextmanager
def _opened(path: Path, max_bytes: int | None) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    with disk_errors(path, "read"):
        _refuse_other_kinds(path, max_bytes)
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                yield file
        except SafetensorError as error:
            raise FileError(
                f"{path.name} is not a valid safetensors file", where=path, found=error
            ) from error


def _entries(path: Path, file: Any) -> dict[str, Entry]:
    """Every tensor of the opened file by name, of a dtype that we know and a shape that torch can hold."""
    entries = {}
    for name in sorted(file.keys()):
        part = file.get_slice(name)
        entries[name] = Entry(name, part.get_dtype(), tuple(part.get_shape()))
        _check_entry(path, entries[name])
    return entries


def _dtype_name(name: str, tensor: Tensor) -> str:
    import torch

    names = {
        torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
        torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8",
        torch.bool: "BOOL",
    }  # fmt: skip
    if tensor.dtype not in names:
        raise DataError(
            f"tensor {name} has a dtype that is not written", expected=sorted(ITEM_BYTES), found=tensor.dtype
        )
    return names[tensor.dtype]


def _refuse_other_kinds(path: Path, max_bytes: int | None) -> None:
    if path.exists() and not path.is_file() and not path.is_dir():
        # Before it is opened: a pipe would be waited for without end.
        raise FileError(f"{path.name} is not a regular file", where=path)
    with path.open("rb") as handle:
        size, start = os.fstat(handle.fileno()).st_size, handle.read(9)
    if max_bytes is not None and size > max_bytes:
        raise FileError(
            f"{path.name} is too large",
            where=path,
            expected=f"at most {max_bytes:,} bytes",
            found=f"{size:,} bytes",
        )
    if start[8:] == b"{":
        return  # A safetensors header; its length may begin with 0x80 as a pickle does.
    kind = _FOREIGN.get(start[:4])
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        kind = PICKLE
    if kind is not None:
        raise FileError(
            f"{path.name} is {kind}" + ("; Axenic never unpickles" if kind == PICKLE else ""),
            where=path,
            expected="a safetensors file",
            found=f"a file that starts with the bytes {start[:4].hex(' ')}",
            hint=f"axenic import {path} --allow-pickle reads a pickle of vectors in a closed child process"
            if kind == PICKLE
            else f"axenic import {path} says whether it can be converted",
        )


def _check_entry(path: Path, entry: Entry) -> None:
    where = f"{path}, tensor {entry.name}"
    if entry.dtype not in ITEM_BYTES:
        raise FileError(
            f"{path.name} has a tensor of dtype {entry.dtype}", where=where, expected=sorted(ITEM_BYTES)
        )
    # An empty tensor may have a dimension of 2^63 beside the zero, which torch cannot lay out.
    if math.prod(size or 1 for size in entry.shape) >= 2**48:
        raise FileError(f"{path.name} has a tensor of impossible shape", where=where, found=entry.shape)


def _check_expected(path: Path, found: Mapping[str, Entry], expect: Shapes) -> None:
    missing, extra = sorted(set(expect) - set(found)), sorted(set(found) - set(expect))
    if missing or extra:
        wrong = f"lacks tensor {missing[0]}" if missing else f"has an unexpected tensor {extra[0]}"
        raise FileError(
            f"{path.name} {wrong}",
            where=path,
            expected=", ".join(sorted(expect)),
            found=", ".join(sorted(found)) or "no tensors",
        )
    for name, shape in expect.items():
        sizes = found[name].shape
        if len(shape) != len(sizes) or any(w not in (None, f) for w, f in zip(shape, sizes, strict=True)):
            raise FileError(
                f"tensor {name} of {path.name} has another shape",
                where=path,
                expected=f"[{', '.join('any' if size is None else str(size) for size in shape)}]",
                found=list(sizes),
            )
