"""The tensor stack: one row of each tensor per planned step, in a safetensors file filled in place."""

from __future__ import annotations

import math
import os
import struct
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from axenic.errors import DataError, FileError, TornFileError
from axenic.files.atomic import replacing
from axenic.files.disk import disk_errors, write_all, write_all_at
from axenic.files.layout import Entry, lay_out
from axenic.files.tensors import inspect_tensors

if TYPE_CHECKING:
    from torch import Tensor

STEPS, WRITTEN = "steps", "written"
_KIND = {"axenic_stack": "1"}


class TensorStack:
    """A file of S planned steps; a valid safetensors file at every instant, whoever is killed.

    Tensors of the file: each named one float32 `[S, *shape]`, `steps` int64 `[S]` ascending, `written` uint8
    `[S]` (1 where the row is whole). All bytes are reserved when the file is made, so that a full disk shows
    at the start and not in the middle of a run.
    """

    def __init__(
        self,
        path: Path,
        shapes: Mapping[str, tuple[int, ...]],
        steps: Sequence[int],
        metadata: Mapping[str, str],
    ) -> None:
        self.path = path
        self.shapes = {name: tuple(shape) for name, shape in sorted(shapes.items())}
        self.steps = sorted(steps)
        self.metadata = dict(metadata)
        self._entries = {
            **{name: Entry(name, "F32", (len(self.steps), *shape)) for name, shape in self.shapes.items()},
            STEPS: Entry(STEPS, "I64", (len(self.steps),)),
            WRITTEN: Entry(WRITTEN, "U8", (len(self.steps),)),
        }
        self._layout = lay_out(list(self._entries.values()), {**self.metadata, **_KIND})

    @classmethod
    def create(
        cls,
        path: str | Path,
        shapes: Mapping[str, tuple[int, ...]],
        steps: Sequence[int],
        metadata: Mapping[str, str] | None = None,
    ) -> TensorStack:
        """Make a new file with all rows zero and none written.

        Args:
            path: The file; must not exist (`resume` continues one).
            shapes: Shape of one row of each tensor; `steps` and `written` are taken.
            steps: Every step that may be written, each once, in any order.
            metadata: Text to text.

        Raises:
            DataError: No or repeated steps, no or reserved names.
            FileError: The file exists or cannot be written.
            DiskFullError: There is no room for all rows.
        """
        path = Path(path)
        if not shapes or STEPS in shapes or WRITTEN in shapes or "__metadata__" in shapes:
            raise DataError(
                "a stack needs named tensors other than steps and written", where=path, found=sorted(shapes)
            )
        if not steps or len(set(steps)) != len(steps):
            raise DataError("a stack needs planned steps, each once", where=path, found=list(steps)[:20])
        if path.exists():
            raise FileError(f"{path.name} exists already", where=path, hint="TensorStack.resume continues it")
        stack = cls(path, shapes, steps, metadata or {})
        with replacing(path, stack._layout.total) as fd:
            write_all(fd, stack._layout.head)
            _reserve(fd, stack._layout.total)
            write_all_at(fd, b"".join(map(_step_bytes, stack.steps)), stack._layout.offsets[STEPS])
        return stack

    @classmethod
    def open(
        cls,
        path: str | Path,
        shapes: Mapping[str, tuple[int, ...]] | None = None,
        steps: Sequence[int] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> TensorStack:
        """Open a stack to read it or to go on writing; what is given must be what the file was made with.

        Raises:
            FileError: Missing, not a stack, or made with other shapes, steps or metadata.
        """
        path = Path(path)
        entries, facts = inspect_tensors(path)
        if facts.get("axenic_stack") != "1" or STEPS not in entries or WRITTEN not in entries:
            raise FileError(
                f"{path.name} is not a tensor stack", where=path, expected="metadata axenic_stack = 1"
            )
        own = {key: value for key, value in facts.items() if key not in _KIND}
        rows = {name: entry.shape[1:] for name, entry in entries.items() if name not in (STEPS, WRITTEN)}
        draft = cls(path, rows, range(math.prod(entries[STEPS].shape)), own)
        head = _read_at(path, 0, len(draft._layout.head))
        raw = _read_at(path, draft._layout.offsets[STEPS], 8 * len(draft.steps))
        stack = cls(path, rows, [at for (at,) in struct.iter_unpack("<q", raw)], own)
        # The header is a function of shapes, count and metadata; where the bytes agree, so do all offsets.
        ascending = b"".join(map(_step_bytes, sorted(set(stack.steps))))
        if head != draft._layout.head or not raw or raw != ascending:
            raise FileError(f"{path.name} is not laid out as a tensor stack", where=path)
        given = {} if shapes is None else {name: tuple(shape) for name, shape in shapes.items()}
        for what, wanted, found in (
            ("shapes", None if shapes is None else given, stack.shapes),
            ("steps", None if steps is None else sorted(steps), stack.steps),
            ("metadata", None if metadata is None else dict(metadata), stack.metadata),
        ):
            if wanted is not None and wanted != found:
                raise FileError(
                    f"{path.name} was made with other {what}",
                    where=path,
                    expected=wanted,
                    found=found,
                    hint="choose another folder, or remove the file to start over",
                )
        return stack

    @classmethod
    def resume(
        cls,
        path: str | Path,
        shapes: Mapping[str, tuple[int, ...]],
        steps: Sequence[int],
        metadata: Mapping[str, str] | None = None,
    ) -> TensorStack:
        """`open` where the file exists, else `create`."""
        make = cls.open if Path(path).exists() else cls.create
        return make(path, shapes, steps, metadata or {})

    def write(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Write the row of one step, durably; a row that was written before is replaced.

        Args:
            step: One of the planned steps.
            tensors: Every tensor of the stack, in its shape, any device and float dtype; kept as float32.

        Raises:
            DataError: Not a planned step, other names or shapes, or a value that is not finite in float32.
            FileError, DiskFullError: The file cannot be written; the row then counts as not written.
        """
        if step not in self.steps:
            raise DataError(f"step {step} is not planned", where=self.path, expected=self.steps)
        row = self.steps.index(step)
        blocks = {name: self._row_bytes(step, name, tensors) for name in self.shapes}
        if set(tensors) != set(self.shapes):
            raise DataError(
                "other tensors than the stack has", expected=sorted(self.shapes), found=sorted(tensors)
            )
        with disk_errors(self.path, "write", sum(map(len, blocks.values()))):
            fd = os.open(self.path, os.O_RDWR)
            try:
                flag = self._layout.offsets[WRITTEN] + row
                if os.pread(fd, 1, flag) != b"\0":
                    write_all_at(fd, b"\0", flag)
                    os.fsync(fd)
                for name, block in blocks.items():
                    write_all_at(fd, block, self._layout.offsets[name] + row * len(block))
                # The mark must not reach the disk before the row does, hence a sync on either side of it.
                os.fsync(fd)
                write_all_at(fd, b"\1", flag)
                os.fsync(fd)
            finally:
                os.close(fd)

    def written(self) -> list[int]:
        """The steps whose rows are whole, ascending."""
        flags = _read_at(self.path, self._layout.offsets[WRITTEN], len(self.steps))
        return [step for step, flag in zip(self.steps, flags, strict=True) if flag == 1]

    def read(
        self, only: Collection[int] | None = None, names: Collection[str] | None = None
    ) -> tuple[list[int], dict[str, Tensor]]:
        """The written rows: W steps ascending, and each tensor as float32 `[W, *shape]`.

        Args:
            only: Steps to read, of those that are written; None reads all. Other rows are not touched.
            names: Tensors to read, of those that the stack has; None reads all.

        Raises:
            FileError: The file is not what it was when opened, or a written row is not finite.
        """
        import torch

        # The marks first: a row that another process finishes meanwhile is then left out, never seen half.
        steps = [step for step in self.written() if only is None or step in only]
        tensors = {}
        for name, shape in self.shapes.items():
            if names is not None and name not in names:
                continue
            tensors[name] = torch.empty(len(steps), *shape)
            n_bytes = 4 * math.prod(shape)
            for row_D, step in zip(tensors[name], steps, strict=True):
                offset = self._layout.offsets[name] + self.steps.index(step) * n_bytes
                raw = bytearray(_read_at(self.path, offset, n_bytes))
                if raw:
                    row_D.copy_(torch.frombuffer(raw, dtype=torch.float32).reshape(shape))
                if not bool(torch.isfinite(row_D).all()):
                    raise FileError(
                        f"the row of step {step} is not finite", where=f"{self.path}, tensor {name}"
                    )
        return steps, tensors

    def _row_bytes(self, step: int, name: str, tensors: Mapping[str, Tensor]) -> bytes:
        import torch

        if name not in tensors or tuple(tensors[name].shape) != self.shapes[name]:
            raise DataError(
                f"tensor {name} of step {step} does not fit the stack",
                where=self.path,
                expected=list(self.shapes[name]),
                found=list(tensors[name].shape) if name in tensors else "no such tensor",
            )
        row = tensors[name].detach().to("cpu", torch.float32).contiguous()
        bad = row.numel() - int(torch.isfinite(row).sum())
        if bad:
            raise DataError(
                f"tensor {name} of step {step} is not finite",
                where=self.path,
                found=f"{bad:,} of {row.numel():,} values",
                hint="the run has diverged: lower the learning rate",
            )
        return row.numpy().tobytes()


def _step_bytes(step: int) -> bytes:
    return step.to_bytes(8, "little", signed=True)


def _read_at(path: Path, offset: int, n_bytes: int) -> bytes:
    with disk_errors(path, "read"), path.open("rb") as handle:
        handle.seek(offset)
        raw = handle.read(n_bytes)
    if len(raw) != n_bytes:
        raise TornFileError(
            f"{path.name} ends early",
            where=path,
            expected=f"{offset + n_bytes:,} bytes or more",
            found=len(raw),
        )
    return raw


def _reserve(fd: int, total: int) -> None:
    """Reserve the bytes, zeroed, so that the disk cannot run full later; macOS can only set the length."""
    if sys.platform == "linux":
        os.posix_fallocate(fd, 0, total)
    else:
        os.ftruncate(fd, total)
