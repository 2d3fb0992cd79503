"""Atomic writes: a file or folder appears whole under its name, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from axenic.errors import FileError
from axenic.files.disk import FULL, disk_errors, disk_full, make_folder, sync_file, sync_folder, write_all

PREFIX, SUFFIX = ".axenic-", ".tmp"


def atomic_write(path: str | Path, data: bytes | str) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, never a part.

    The bytes go to a temporary file in the same folder, are synced, and take the name by `os.replace`. After
    a power cut or SIGKILL at any instant the name holds old or new bytes; a left-over temporary file is
    possible and is never taken for data (`is_temporary`).

    Args:
        path: The file; missing parent folders are created.
        data: Bytes, or text that is written as UTF-8 without newline translation.

    Raises:
        DiskFullError: The disk ran full. The old file is untouched, the temporary one removed.
        FileError: Any other failure to write.
    """
    raw = data.encode("utf-8") if isinstance(data, str) else data
    with replacing(Path(path), len(raw)) as fd:
        write_all(fd, raw)


@contextmanager
def replacing(path: Path, needs: int | None) -> Iterator[int]:
    """Yield the descriptor of a temporary file that becomes `path` when the block ends without an error.

    Args:
        path: The file to create or replace; missing parent folders are created.
        needs: Bytes that will be written, if known, for the message when the disk is full.
    """
    temporary = _temporary_beside(path)
    with disk_errors(path, "write", needs):
        make_folder(path.parent)
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            try:
                yield fd
                os.fsync(fd)
            finally:
                os.close(fd)
            os.replace(temporary, path)
            sync_folder(path.parent)
        finally:
            # After the rename nothing has this name any more; after any failure, Ctrl-C too, it must go.
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path`, synced and by one rename, when the block succeeds.

    Args:
        path: The folder to create; missing parents are created.
        replace: Whether a folder that is already there is replaced. It is moved aside, and deleted only after
            the new one has the name; SIGKILL between these two renames leaves no folder of this name, never
            half of one.

    Raises:
        FileError: `path` exists and `replace` is false (said before the work is done), or cannot be written.
        DiskFullError: The disk ran full; the temporary folder is removed.
    """
    path = Path(path)
    if path.exists() and not replace:
        raise FileError(
            f"{path.name} exists already", where=path, hint="choose another folder, or remove this one first"
        )
    temporary, old = _temporary_beside(path), _temporary_beside(path)
    try:
        with disk_errors(path, "write the folder"):
            make_folder(path.parent)
            temporary.mkdir()
        try:
            yield temporary
        except OSError as error:
            # Other errors of the block are about other files, and keep their own text.
            if error.errno in FULL:
                raise disk_full(path, None) from error
            raise
        with disk_errors(path, "write the folder"):
            _sync_tree(temporary)
            if path.exists():
                os.rename(path, old)
            os.rename(temporary, path)
            sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if old.exists() and not path.exists():
            os.rename(old, path)
        shutil.rmtree(old, ignore_errors=True)


def is_temporary(path: str | Path) -> bool:
    """Whether a file or folder is an unfinished write of Axenic, to be ignored by every reader."""
    name = Path(path).name
    return name.startswith(PREFIX) and name.endswith(SUFFIX)


def remove_leftovers(folder: str | Path) -> list[Path]:
    """Delete what killed writes left directly inside a folder, and return it.

    Call it only where no other process writes into the folder: an unfinished write looks the same.
    """
    found = sorted(Path(folder).glob(f"{PREFIX}*{SUFFIX}"))
    for entry in found:
        with disk_errors(entry, "remove"):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
    return found


def _temporary_beside(path: Path) -> Path:
    return path.parent / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"


def _sync_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            sync_file(Path(parent) / name)
        sync_folder(Path(parent))
