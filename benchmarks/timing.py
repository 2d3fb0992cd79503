"""Two ways of doing the same work, timed in turn: only their ratio is quoted, for machines drift.

With one thread on a CPU the clock is the process's CPU time, which other work on the machine changes far less than wall time
and which is the same where there is none; in all other cases it is wall time. The table says which.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch


@dataclass(frozen=True)
class Comparison:
    """Medians of paired runs: seconds of ours and theirs, and the ratio ours / theirs pair by pair."""

    ours: float
    theirs: float
    ratio: float
    low: float
    high: float


def compare(
    ours: Callable[[], object], theirs: Callable[[], object], repeats: int, *, warm: bool = False
) -> Comparison:
    """Warm both up once, unless they are `warm` from a check of their results, then run them in turn `repeats` times."""
    if not warm:
        _seconds(ours)
        _seconds(theirs)
    # The order alternates: whoever runs second finds a warmer machine.
    pairs = []
    for repeat in range(repeats):
        if repeat % 2:
            b, a = _seconds(theirs), _seconds(ours)
        else:
            a, b = _seconds(ours), _seconds(theirs)
        pairs.append((a, b))
    ratios = [a / b for a, b in pairs]
    return Comparison(
        median(a for a, _ in pairs), median(b for _, b in pairs), median(ratios), min(ratios), max(ratios)
    )


def cpu_time() -> bool:
    """Whether seconds are those of the CPU and not of the wall."""
    return not torch.cuda.is_available() and torch.get_num_threads() == 1


def _seconds(work: Callable[[], object]) -> float:
    clock = time.process_time if cpu_time() else time.perf_counter
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = clock()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - started
