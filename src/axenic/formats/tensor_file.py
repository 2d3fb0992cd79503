"""Tensors for programs that call `torch.load` or `safetensors`: the name of the file decides."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor

from axenic.files import atomic_write, save_tensors


def write_tensors(path: Path, value: Tensor | dict[str, Tensor | int | float | str]) -> None:
    """Write tensors, atomically: `.pt` by torch.save, which `torch.load(weights_only=True)` reads, all else as
    safetensors (one tensor is called `vectors`; what is not a tensor goes into the metadata as text).

    Raises:
        DiskFullError, FileError: It cannot be written.
    """
    if path.suffix in (".pt", ".pth"):
        buffer = io.BytesIO()
        torch.save(value, buffer)
        atomic_write(path, buffer.getvalue())
        return
    parts = {"vectors": value} if isinstance(value, Tensor) else value
    tensors = {name: part for name, part in parts.items() if isinstance(part, Tensor)}
    save_tensors(path, tensors, {name: str(part) for name, part in parts.items() if name not in tensors})
