"""Helpers of the file tests: a child that is killed at a random instant, and a disk that is full."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def kill_child() -> Callable[[str, Path, int], None]:
    """Run `code` with the argument `path` in a child, and SIGKILL it at a random instant after it says "go"."""

    def run(code: str, path: Path, seed: int) -> None:
        command = [sys.executable, "-c", code, str(path)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"go\n", "the child did not start"
            time.sleep(random.Random(seed).uniform(0.0, 0.03))
            child.send_signal(signal.SIGKILL)
        assert child.returncode == -signal.SIGKILL

    return run


WRITE, PWRITE = os.write, os.pwrite


class FullDisk:
    """Stands in for `os.write` and `os.pwrite`: after `room` bytes the disk is full, as the kernel says it."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, fd: int, data: bytes) -> int:
        return WRITE(fd, self._fitting(data))

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return PWRITE(fd, self._fitting(data), offset)

    def _fitting(self, data: bytes) -> bytes:
        part = bytes(data)[: self.room]
        if data and not part:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(part)
        return part


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Call with the number of bytes that still fit; every later write of Axenic meets the full disk."""

    def start(room: int) -> None:
        disk = FullDisk(room)
        monkeypatch.setattr(os, "write", disk.write)
        monkeypatch.setattr(os, "pwrite", disk.pwrite)

    return start


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB; skipped where it cannot be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command")
    if done.returncode != 0:
        pytest.skip("cannot mount a tmpfs here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
