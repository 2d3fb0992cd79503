"""Two ways of doing the same work, timed in turn: only their ratio is quoted, for machines drift."""

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


def compare(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> Comparison:
    """Warm both up once, then run them in turn `repeats` times."""
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


def _seconds(work: Callable[[], object]) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started
