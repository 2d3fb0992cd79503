"""One claim of a paper as a row of the report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Claim:
    """One row of the report.

    Attributes:
        id: Stable name, e.g. `p2-ablate-layerwise`.
        paper: P1, P2 or P3.
        claim: What is claimed, with the bound that decides `holds`.
        published: The paper's number on its own models.
        measured: What was measured here, in words and figures.
        interval: 95 % interval of the figure that decides (the weakest case), or its range over seeds; None if it has none.
        control: What the same measurement gives where nothing should happen.
        seeds: Training seeds behind the row.
        holds: Whether every case meets the bound; None if this form of the demo did not measure it.
    """

    id: str
    paper: str
    claim: str
    published: str
    measured: str
    interval: tuple[float, float] | None
    control: str
    seeds: int
    holds: bool | None

    def to_json(self) -> dict[str, Any]:
        """The row of `report.json`."""
        return asdict(self)
