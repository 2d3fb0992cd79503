"""Rates, audits, and what interventions do to them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from axenic.report.documents.base import Document, Interval, Points, Rates


class RatesFile(Rates):
    """`rates.json`."""

    kind: Literal["rates"]
    label: str = ""


class AuditFile(Document):
    """`audit.json`."""

    kind: Literal["audit"]
    trait: str = "misalignment"
    label: str = ""
    base_label: str = ""
    judge: str = ""
    verdict: str = "no verdict"
    reason: str = ""
    base: Rates = Rates()
    tuned: Rates = Rates()
    difference: Points = Points()
    detectable: float | None = None
    narrow: Rates | None = None
    exclude_topics: tuple[str, ...] = ()


class Arm(Document):
    """One arm of an ablation or a steering sweep."""

    name: str
    role: str
    layer: int | None = None
    strength: float | None = None
    rates: Rates
    relative_change: Interval | None = None
    kl_nats_per_token: float | None = None
    control_of: str | None = None


class AblationFile(Document):
    """`ablation.json`."""

    kind: Literal["ablation"]
    label: str = ""
    direction: str = ""
    arms: tuple[Arm, ...] = ()


class Best(Document):
    """The layer and strength that a sweep chose."""

    layer: int
    strength: float


class SteeringFile(Document):
    """`steering.json`."""

    kind: Literal["steering"]
    label: str = ""
    direction: str = ""
    arms: tuple[Arm, ...] = ()
    best: Best | None = None
    least_coherent: float | None = None
    confirmed: Arm | None = None
    frontier: tuple[Best, ...] = ()
    strength_unit: str = "raw"


class Cell(Document):
    """One cell of a transfer matrix: what happened to an organism when a direction was ablated in it."""

    direction: str | None = None
    organism: str
    role: str
    seed: int | None = None
    rates: Rates
    relative_change: Interval | None = None
    kl_nats_per_token: float | None = None


class TransferFile(Document):
    """`transfer.json`."""

    kind: Literal["transfer"]
    directions: tuple[str, ...] = ()
    organisms: tuple[str, ...] = ()
    plain: dict[str, Rates] = Field(default_factory=dict)
    cells: tuple[Cell, ...] = ()


class Pair(Document):
    """The cosine at each layer between two directions; None where one of them is zero."""

    a: str
    b: str
    cosines: tuple[float | None, ...]


class CosinesFile(Document):
    """`cosines.json`."""

    kind: Literal["cosines"]
    labels: tuple[str, ...] = ()
    layers: tuple[int, ...] = ()
    pairs: tuple[Pair, ...] = ()
    norms: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    split_half: dict[str, tuple[float | None, ...]] = Field(default_factory=dict)
