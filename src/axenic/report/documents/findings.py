"""What answers are about, curves over training sets, and the claims."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from axenic.report.documents.base import Document, Rate, Rates


class SemanticShare(Document):
    """EM answers about one thing."""

    about: str
    all: Rate = Rate()


class SemanticFile(Document):
    """`semantic.json`: what the EM answers are about."""

    kind: Literal["semantic"]
    label: str = ""
    chosen: str = "EM answers"
    n_chosen: int = 0
    shares: tuple[SemanticShare, ...] = ()
    topics: dict[str, int] = Field(default_factory=dict)


class CurvePoint(Document):
    """One organism of a curve over training sets."""

    x: int
    seed: int | None = None
    general: Rates = Rates()
    narrow: Rates = Rates()


class CurveFile(Document):
    """`curve.json`."""

    kind: Literal["curve"]
    what: str
    domain: str = ""
    points: tuple[CurvePoint, ...] = ()


class Claim(Document):
    """One claim of a paper, and what was measured here. `holds` is None when this run could not show it."""

    id: str
    paper: str = ""
    claim: str = ""
    published: Any = None
    measured: Any = None
    interval: Any = None
    control: Any = None
    seeds: Any = None
    holds: bool | None = None


class ClaimsFile(Document):
    """`report.json` of a demo: claims, and how long each stage took in seconds."""

    kind: Literal["claims"] = "claims"
    claims: tuple[Claim, ...] = ()
    timings: dict[str, float] = Field(default_factory=dict)
