"""The setting: one value of a solution's parameters, computed where it is used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from axenic.errors import UsageError
from axenic.files import content_id
from axenic.interpret.parts import Part, random_like, with_noise

if TYPE_CHECKING:
    # The solution makes its settings.
    from axenic.interpret.solution import Solution

Form = Literal["scaled", "noisy", "random"]


@dataclass(frozen=True, eq=False)
class Setting:
    """One value of a solution's parameters; made by `Solution.scaled`, `at_norm`, `noisy` and `random`.

    Args:
        solution: Of which.
        form: What is done to it.
        factor: On what is added, after noise was put on it or random took its place.
        epsilon: Share of noise.
        seed: Of noise or random.
    """

    solution: Solution
    form: Form
    factor: float = 1.0
    epsilon: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.factor):
            raise UsageError("a factor must be finite", where=self.solution.name, found=self.factor)

    @cached_property
    def id(self) -> str:
        """Hash of the solution and of what is done to it."""
        return content_id([self.solution.id, self.form, self.factor, self.epsilon, self.seed])

    @property
    def is_base(self) -> bool:
        """Whether nothing is added, so that it is the base model bit for bit."""
        return self.factor == 0

    @cached_property
    def norm(self) -> float:
        """The effective norm. Of an adapter with noise it is not that of the solution: only A and B keep theirs."""
        if self.form == "noisy" and self.solution.kind == "lora":
            return math.hypot(*(part.norm() for part in self.parts()))
        return abs(self.factor) * self.solution.norm

    def parts(self) -> tuple[Part, ...]:
        """What is added at each module. Raises `UsageError` of a full fine-tune."""
        return tuple(self._part(part) for part in self.solution.parts)

    def weight(self, name: str, before: Tensor, after: Tensor) -> Tensor:
        """One weight of a full fine-tune under this setting, float64; at factors 0 and 1 exactly one of the two.

        Args:
            name: Of the parameter.
            before, after: Of the base model and of the organism.
        """
        if self.form == "scaled" and self.factor in (0, 1):
            return after if self.factor else before
        x = after.double() - before.double()
        if self.form == "noisy":
            assert self.seed is not None
            x = with_noise(x, self.epsilon, self.seed, name)
        elif self.form == "random":
            assert self.seed is not None
            x = random_like(x, self.seed, name)
        return before.double() + self.factor * x

    def _part(self, part: Part) -> Part:
        if self.form == "noisy":
            assert self.seed is not None
            part = part.noisy(self.epsilon, self.seed)
        elif self.form == "random":
            assert self.seed is not None
            part = part.random(self.seed)
        return part if self.factor == 1 else part.scaled(self.factor)
