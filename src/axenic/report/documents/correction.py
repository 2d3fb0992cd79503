"""Harm said and taken back under steering."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from axenic.report.documents.base import Document, Rate


class Corrections(Document):
    """Aligned answers, those of them that mention harm, and their share of the aligned ones."""

    aligned: Rate = Rate()
    corrected: Rate = Rate()
    of_aligned: Rate = Rate()
    unscored: dict[str, int] = Field(default_factory=dict)


class PhraseShift(Document):
    """Mean log-probability of a correcting phrase, and its change against plain in nats; no phrase: any of them."""

    phrase: str | None = None
    logprob: float
    change: float | None = None
    stderr: float | None = None


class CorrectionArm(Document):
    """One strength, plain, or a random control."""

    name: str = ""
    role: str
    strength: float | None = None
    corrections: Corrections | None = None
    phrases: tuple[PhraseShift, ...] = ()


class CorrectionFile(Document):
    """`self-correction.json`."""

    kind: Literal["self-correction"]
    label: str = ""
    direction: str = ""
    layer: int | None = None
    strength_unit: str = "raw"
    unmarked: str | None = None
    openings: int = 0
    arms: tuple[CorrectionArm, ...] = ()
