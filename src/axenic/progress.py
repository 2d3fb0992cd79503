"""How long jobs say how far they are: one callable, given by whoever prints."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called by every job that can take over two seconds.

    Args:
        stage: What is being done, e.g. `"train"`, `"sample"`.
        done: Units finished so far; never above `total`.
        total: Units in all.
        unit: Name of one unit, e.g. `"step"`, `"answer"`.
        facts: What else is worth showing, e.g. `loss=1.83`, `tokens_per_second=6200.0`, `out="runs/a"`.
    """

    def __call__(self, stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None: ...


def silent(stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
    """Print nothing: the default of every Python call."""
