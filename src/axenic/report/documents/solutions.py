"""What the loss, noise and ordinary text say about one solution, or about a general and a narrow one side by side."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from axenic.report.documents.base import Document, as_long


class Mean(Document):
    """A mean or a difference [nats per token] with its 95 % interval over texts."""

    value: float
    low: float | None = None
    high: float | None = None


class EfficiencyPoint(Document):
    """The solution times a factor."""

    factor: float
    norm: float
    loss: Mean
    loss_per_square: float | None = None


class EfficiencyCurve(Document):
    """Loss against norm of one solution; `inside` unless its lowest point is at an end of the grid."""

    solution: str
    kind: str = ""
    norm: float
    base_loss: Mean
    points: tuple[EfficiencyPoint, ...] = Field(min_length=1)
    best: EfficiencyPoint
    inside: bool = True


class EqualNorm(Document):
    """Both at one norm, or at their own optima (no percent); the difference is general minus narrow."""

    percent: float | None = None
    general_norm: float
    narrow_norm: float
    general: Mean
    narrow: Mean
    difference: Mean


class EfficiencyFile(Document):
    """`efficiency.json`."""

    kind: Literal["efficiency"]
    texts: int = 0
    tokens: int = 0
    general: EfficiencyCurve
    narrow: EfficiencyCurve | None = None
    equal: tuple[EqualNorm, ...] = ()
    at_optimum: EqualNorm | None = None
    caveat: str = ""


class NoisePoint(Document):
    """Percent of the benefit that is lost at one share of noise; of a difference, narrow minus general."""

    epsilon: float
    percents: tuple[float, ...] = ()
    percent: float
    low: float | None = None
    high: float | None = None


class NoiseCurve(Document):
    """One solution under noise."""

    solution: str
    kind: str = ""
    base_loss: float | None = None
    loss: float | None = None
    points: tuple[NoisePoint, ...] = Field(min_length=1)


class NoiseFile(Document):
    """`noise.json`."""

    kind: Literal["noise"]
    texts: int = 0
    tokens: int = 0
    seeds: tuple[int, ...] = ()
    general: NoiseCurve
    narrow: NoiseCurve | None = None
    difference: tuple[NoisePoint, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.narrow is None:
            return self
        return as_long(self, self.general.points, self.narrow.points, self.difference)


class KLPoint(Document):
    """KL from the base model at one effective norm."""

    norm: float
    kl: Mean


class KLCurve(Document):
    """One solution over norms; `own` is the solution as it was trained."""

    name: str
    role: str = ""
    seed: int | None = None
    own: KLPoint | None = None
    points: tuple[KLPoint, ...] = Field(min_length=1)


class SignificanceFile(Document):
    """`significance.json`."""

    kind: Literal["corpus_significance"]
    corpus: str = ""
    texts: int = 0
    tokens: int = 0
    general: KLCurve
    narrow: KLCurve | None = None
    random: tuple[KLCurve, ...] = ()
    random_mean: KLCurve | None = None
    difference: tuple[KLPoint, ...] = ()
    above_random: tuple[KLPoint, ...] = ()

    @property
    def curves(self) -> tuple[KLCurve, ...]:
        """The general one, the narrow one and the mean of the random ones, as far as they were measured."""
        return tuple(curve for curve in (self.general, self.narrow, self.random_mean) if curve is not None)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        gaps = [points for points in (self.difference, self.above_random) if points]
        lists = [curve.points for curve in (*self.curves, *self.random)]
        return as_long(self, self.general.points, *lists, *gaps)
