"""The disk: bytes written whole and made durable, and its errors turned into ones that name the file."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from axenic.errors import DiskFullError, FileError

FULL = (errno.ENOSPC, errno.EDQUOT)
Buffer = bytes | bytearray | memoryview


@contextmanager
def disk_errors(path: Path, doing: str, needs: int | None = None) -> Iterator[None]:
    """Turn an `OSError` inside the block into a located error.

    Args:
        path: The file that the block works on; printed as `where`.
        doing: A verb for the sentence "cannot {doing} {file name}", e.g. `"write"`.
        needs: Bytes that the block wants to write, if known; printed when the disk is full.

    Raises:
        DiskFullError: On ENOSPC and EDQUOT.
        FileError: On every other `OSError`.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(path, needs) from error
        raise FileError(f"cannot {doing} {path.name}", where=path, found=error.strerror or error) from error


def disk_full(path: Path, needs: int | None) -> DiskFullError:
    """The error for a full disk (or a used-up quota) while writing `path`, which takes `needs` bytes."""
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    return DiskFullError(
        f"the disk ran full while writing {path.name}",
        where=path,
        expected=None if needs is None else f"room for {needs:,} bytes",
        found=f"{shutil.disk_usage(folder).free:,} bytes free in {folder}",
        hint="make room, then give the same command again: what was finished before is kept",
    )


def write_all(fd: int, data: Buffer) -> None:
    """Write every byte at the current position: one `os.write`, more only where the kernel stops short."""
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[os.write(fd, rest) :]


def write_all_at(fd: int, data: Buffer, offset: int) -> None:
    """Write every byte from byte `offset` of the file on; the file position stays where it was."""
    rest = memoryview(data).cast("B")
    while rest:
        done = os.pwrite(fd, rest, offset)
        rest, offset = rest[done:], offset + done


def sync_file(path: Path) -> None:
    """Force the bytes of a file onto the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder(path: Path) -> None:
    """Force the names in a folder onto the disk: without it a rename may be undone by a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        # Some network and FUSE file systems refuse to sync a folder; nothing more can be done there.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def make_folder(path: Path) -> None:
    """Create a folder and its missing parents, each made durable in its own parent."""
    if path.is_dir():
        return
    make_folder(path.absolute().parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.absolute().parent)
