"""Peak memory of the means against the number of answers: ours, and the published way that collects every activation.

Each point is a fresh process (`python -m benchmarks.memory SHAPE WAY TIMES`): it opens the model, works on two answers to
warm up, has Linux reset its high-water mark, does the work, and prints by how many bytes resident memory (VmHWM) rose above
what it was before. Activations are collected in the CPU's memory, so this is the right place to look with a GPU too. Both
ways get batches of the same size, the same from point to point.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers import as_documented, collected_means, conversations, our_means
from benchmarks.shapes import opened, sizes

TIMES = (1, 2, 4, 8)
WAYS = ("ours", "collected")

_ROWS = 8
"""Conversations of a batch: few, so that a batch of either way is small beside what the published way keeps."""

_PROC = Path("/proc/self")


def run(shape: str) -> Iterator[tuple[int, dict[str, float]]]:
    """Number of answers, and MB of peak memory of each way beyond what the process held before.

    Raises:
        RuntimeError: Not on Linux, or a process of a point failed.
    """
    if not (_PROC / "clear_refs").exists():
        raise RuntimeError("peak memory is measured with Linux's /proc/self/clear_refs")
    for times in TIMES:
        answers = sizes(shape).mean_rows * times
        yield answers, {way: _point(shape, way, times) / 1e6 for way in WAYS}


def measure(shape: str, way: str, times: int) -> int:
    """Bytes by which this process's resident memory rose at most during the work."""
    model, work = opened(shape), sizes(shape)
    texts = conversations(work, times)
    longest = max(len(text.tokens) for text in texts)

    def once(count: int) -> None:
        if way == "ours":
            our_means(model, texts[:count], batch_tokens=_ROWS * longest)
        else:
            collected_means(model, as_documented(model, texts[:count], _ROWS))

    once(2)
    before = _status("VmRSS")
    (_PROC / "clear_refs").write_text("5")
    once(len(texts))
    return _status("VmHWM") - before


def _point(shape: str, way: str, times: int) -> int:
    command = [sys.executable, "-m", "benchmarks.memory", shape, way, str(times)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return int(done.stdout.split()[-1])


def _status(key: str) -> int:
    """Bytes of one line of /proc/self/status."""
    lines = (_PROC / "status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{key}:"))
    return 1024 * int(kilobytes)


if __name__ == "__main__":
    print(measure(sys.argv[1], sys.argv[2], int(sys.argv[3])))
