"""Runs in one plane."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from axenic.report.documents.base import Document, as_long


class PathTrace(Document):
    """One run in the plane; `fitted` unless it was projected into it."""

    name: str
    fitted: bool
    steps: tuple[int, ...] = Field(min_length=1)
    points: tuple[tuple[float, ...], ...]
    norms: tuple[float, ...]
    cos_general: tuple[float | None, ...]
    cos_narrow: tuple[float | None, ...]
    along: tuple[float, ...]
    across: tuple[float, ...]
    half_step: int | None = None
    half_along_step: int | None = None
    cos_frame: float | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        as_long(self, self.points[0], *self.points)
        return as_long(
            self,
            self.steps,
            self.points,
            self.norms,
            self.cos_general,
            self.cos_narrow,
            self.along,
            self.across,
        )


class PathsFile(Document):
    """`paths.json`: several runs in their common components."""

    kind: Literal["paths"]
    general: str
    narrow: str
    cos_general_narrow: float | None = None
    explained: tuple[float, ...] = Field(min_length=1)
    runs: tuple[PathTrace, ...] = Field(min_length=1)
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        return as_long(self, self.explained, *(run.points[0] for run in self.runs))
