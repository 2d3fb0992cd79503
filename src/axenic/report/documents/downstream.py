"""An adapter and a direction, downstream."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from axenic.report.documents.base import Document, as_long


class AdapterAlignment(Document):
    """How much of the direction one B can write, 0 to 1, and how much of a random one."""

    layer: int
    module: str = ""
    rank: int | None = None
    alignment: float
    chance: float | None = None


class RandomEffect(Document):
    """The cosines of one random control; None where an effect is zero."""

    seed: int | None = None
    cosines: tuple[float | None, ...]


class EffectCurve(Document):
    """Both effects on one class of texts, layer by layer."""

    texts: str
    n_answers: int = 0
    cosines: tuple[float | None, ...]
    random: tuple[RandomEffect, ...] = ()
    adapter_norms: tuple[float, ...] = ()
    steered_norms: tuple[float, ...] = ()
    base_norms: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        norms = [n for n in (self.adapter_norms, self.steered_norms, self.base_norms) if n]
        return as_long(self, self.cosines, *norms, *(control.cosines for control in self.random))


class DownstreamFile(Document):
    """`downstream.json`."""

    kind: Literal["downstream"]
    label: str = ""
    direction: str = ""
    layer: int | None = None
    strength: float | None = None
    adapters: tuple[AdapterAlignment, ...] = ()
    curves: tuple[EffectCurve, ...] = ()
