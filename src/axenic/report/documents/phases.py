"""Runs step by step."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from axenic.report.documents.base import Document, Rate, as_long


class StepCurve(Document):
    """A number at each step."""

    steps: tuple[int, ...]
    values: tuple[float, ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        return as_long(self, self.steps, self.values)


class LocalCosine(Document):
    """The local cosine of a path with one window in steps; None where the vector moved too little."""

    window: int
    steps: tuple[int, ...]
    values: tuple[float | None, ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        return as_long(self, self.steps, self.values)


class PcaPath(Document):
    """The path in its first components."""

    explained: tuple[float, ...]
    points: tuple[tuple[float, ...], ...]


class Transition(Document):
    """Whether a path turns suddenly, and when."""

    kind: str
    step: int | None = None
    low: int | None = None
    high: int | None = None
    p_value: float
    period: float | None = None


class PhaseVector(Document):
    """One vector's path."""

    name: str
    steps: tuple[int, ...]
    norms: tuple[float, ...]
    cosines: tuple[LocalCosine, ...] = ()
    pca: PcaPath
    transition: Transition | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        return as_long(self, self.steps, self.norms, self.pca.points)


class CombinedTransition(Document):
    """A transition over seeds."""

    n_seeds: int
    n_found: int
    step: float | None = None
    low: float | None = None
    high: float | None = None


class PhasesFile(Document):
    """`phase.json`: the vectors of one run, the main one first, and curves of its log."""

    kind: Literal["phases"]
    label: str = ""
    vectors: tuple[PhaseVector, ...] = Field(min_length=1)
    partner_norms: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    gradient: StepCurve | None = None
    losses: dict[str, StepCurve] = Field(default_factory=dict)
    comp: dict[str, tuple[float | None, ...]] = Field(default_factory=dict)
    seeds: dict[str, CombinedTransition] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        return as_long(self, self.vectors[0].steps, *self.comp.values(), *self.partner_norms.values())


class ScaledPoint(Document):
    """Behaviour at one step."""

    step: int
    em: Rate
    coherent: Rate


class Onset(Document):
    """When a behaviour sets in."""

    step: int
    low: int
    high: int


class ScaledCurve(Document):
    """Behaviour over steps at one factor; `rolling` is the rolling average of EM in percent."""

    factor: float
    points: tuple[ScaledPoint, ...]
    rolling: tuple[float, ...]
    onset: Onset | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        return as_long(self, self.points, self.rolling)


class ThresholdOnset(Document):
    """An onset with other class boundaries."""

    factor: float
    alignment: float
    coherence: float
    step: int | None = None


class ScaledFile(Document):
    """`scaled.json`: behaviour of the adapter at each step, scaled."""

    kind: Literal["scaled"]
    label: str = ""
    curves: tuple[ScaledCurve, ...] = ()
    robustness: tuple[ThresholdOnset, ...] = ()
