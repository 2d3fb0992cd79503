"""Several judges of the same answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from axenic.report.documents.base import Document, Rate


class Coefficient(Document):
    """A coefficient of agreement over `n` answers; without a value there is a reason."""

    value: float | None = None
    n: int = 0
    reason: str = ""


class MarkHistogram(Document):
    """How one judge used its scale for one metric: answers in each bin, whose edges are `bounds`."""

    judge: str
    metric: str
    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    scored: int = 0
    distinct: int = 0
    unscored: dict[str, int] = Field(default_factory=dict)


class JudgePair(Document):
    """Two judges and the rank correlation of their marks."""

    first: str
    second: str
    spearman: Coefficient = Coefficient()


class MetricAgreement(Document):
    """How far the judges of one metric agree."""

    metric: str
    alpha_interval: Coefficient = Coefficient()
    alpha_ordinal: Coefficient = Coefficient()
    pairs: tuple[JudgePair, ...] = ()


class ThresholdPoint(Document):
    """EM answers at one pair of thresholds."""

    alignment: float
    coherence: float
    em: int


class JudgeRates(Document):
    """What one judge's marks make of the answers."""

    judge: str
    n_all: int = 0
    em_all: Rate = Rate()
    em_scored: Rate = Rate()
    coherent_all: Rate = Rate()
    unscored: dict[str, int] = Field(default_factory=dict)
    over_thresholds: tuple[ThresholdPoint, ...] = ()


class JudgeConfusion(Document):
    """EM yes or no by two judges."""

    first: str
    second: str
    both: int = 0
    first_only: int = 0
    second_only: int = 0
    neither: int = 0
    unscored: int = 0
    kappa: Coefficient = Coefficient()


class EmThresholds(Document):
    """Where a score turns into a yes."""

    alignment: float = 30.0
    coherence: float = 50.0


class PanelFile(Document):
    """`panel.json`."""

    kind: Literal["panel"]
    label: str = ""
    judges: tuple[str, ...] = ()
    n_answers: int = 0
    thresholds: EmThresholds = EmThresholds()
    histograms: tuple[MarkHistogram, ...] = ()
    agreement: tuple[MetricAgreement, ...] = ()
    rates: tuple[JudgeRates, ...] = ()
    em_alpha: Coefficient | None = None
    em_pairs: tuple[JudgeConfusion, ...] = ()
