"""General and narrow rates of organisms: the points of a plane."""

from __future__ import annotations

from typing import Literal

from axenic.report.documents.base import Document, Rates


class NarrowPoint(Document):
    """One organism; `held_out` are questions on topics that no training row is about."""

    label: str
    judge: str = ""
    general: Rates = Rates()
    narrow: Rates | None = None
    held_out: Rates | None = None
    domains: tuple[str, ...] = ()
    n_asked: int = 0
    checked: bool = False


class NarrowFile(Document):
    """`narrow.json`."""

    kind: Literal["narrow"]
    trait: str = "misalignment"
    points: tuple[NarrowPoint, ...] = ()
