"""Helpers of the file tests: a child that is killed at a random instant, and a disk that is full."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: a sync is instant there, so that kills fall between system calls."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


HARNESS = """
import os, signal, sys, time
for line in sys.stdin:
    started, start = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(start, b"!")
        work(sys.argv[1])
        os._exit(1)
    os.read(started, 1)
    os.close(started)
    os.close(start)
    # The child's own processor time (clock_getcpuclockid), so that a busy machine changes nothing.
    clock = (~child << 3) | 2
    stop = time.clock_gettime(clock) + float(line)
    while time.clock_gettime(clock) < stop:
        time.sleep(0.0002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("killed", flush=True)
"""


@pytest.fixture
def kills() -> Callable[[str, Path, int], Iterator[int]]:
    """Iterate over `count` processes that ran `work(path)` of `code` and got SIGKILL at a random instant.

    They are forked from one process that has imported everything, so that the instants fall into the work.
    """

    def run(code: str, path: Path, count: int) -> Iterator[int]:
        chance = random.Random(0)
        command = [sys.executable, "-c", code + HARNESS, str(path)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        ) as parent:
            assert parent.stdin is not None
            assert parent.stdout is not None
            for number in range(count):
                # From 0.1 ms, the first system calls, to 30 ms, many rounds.
                parent.stdin.write(f"{0.03 * 10 ** chance.uniform(-2.5, 0.0)}\n")
                parent.stdin.flush()
                assert parent.stdout.readline() == "killed\n"
                yield number

    return run


WRITE, PWRITE = os.write, os.pwrite


class FullDisk:
    """Stands in for `os.write` and `os.pwrite`: after `room` bytes the disk is full, as the kernel says."""

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
