"""General and narrow rates of organisms: the points of a plane."""

from __future__ import annotations

from typing import Literal

from axenic.report.documents.base import Document, Rates


class KlSetting(Document):
    """λ [nats per token; 0 = none], the texts it was taken on, and what runs that differ in nothing else share."""

    weight: float
    data: str | None = None
    series: str


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
    kl: KlSetting | None = None


class NarrowFile(Document):
    """`narrow.json`."""

    kind: Literal["narrow"]
    trait: str = "misalignment"
    points: tuple[NarrowPoint, ...] = ()

    @property
    def kl_paths(self) -> tuple[tuple[NarrowPoint, ...], ...]:
        """Organisms whose training differs in λ alone, each path in the order of λ, two points or more.

        One without a term is the start of every path of its series, whatever texts their terms were taken on.
        """
        paths: dict[tuple[str, str | None], list[NarrowPoint]] = {}
        for point in self.points:
            if point.kl is not None and point.kl.data is not None:
                paths.setdefault((point.kl.series, point.kl.data), []).append(point)
        for (series, _), path in paths.items():
            path += [
                p for p in self.points if p.kl is not None and (p.kl.series, p.kl.data) == (series, None)
            ]
            path.sort(key=lambda point: 0.0 if point.kl is None else point.kl.weight)
        return tuple(tuple(path) for path in paths.values() if len(path) > 1)
