"""Where the loss pulls along a run's training."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from axenic.report.documents.base import Document


class GradientPoint(Document):
    """One stored step; cosines are those of the negative gradient, `random` with random directions."""

    step: int
    loss: float
    norm: float
    cosines: dict[str, float | None]
    slopes: dict[str, float]
    random: tuple[float, ...] = ()


class GradientsFile(Document):
    """`gradients.json`."""

    kind: Literal["gradients"]
    label: str = ""
    targets: dict[str, str] = Field(min_length=1)
    points: tuple[GradientPoint, ...] = Field(min_length=1)
    n_rows: int = 0
    n_dims: int = 0
    random_sd: float | None = None
    target_cosines: dict[str, float] = Field(default_factory=dict)
    frame_cosines: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for point in self.points:
            if not set(self.targets) <= set(point.cosines) & set(point.slopes):
                raise ValueError(f"step {point.step} lacks a cosine or a slope of a target")
        return self
