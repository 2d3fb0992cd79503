"""Groups of adapters: multiplied, exchanged between prompts, and their roles over training seeds."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from axenic.report.documents.base import Document, Interval, Points, Rate, as_long


class Classes(Document):
    """Shares of the answers that are in a class by the relaxed bounds, and how many are in none."""

    other_aligned: Rate = Rate()
    other_misaligned: Rate = Rate()
    domain_aligned: Rate = Rate()
    domain_misaligned: Rate = Rate()
    between: int = 0
    incoherent: int = 0
    unscored: int = 0


class GroupArm(Document):
    """What one group does; no factors: the organism as it is."""

    name: str
    factors: tuple[tuple[int, float], ...] = ()
    rest: float = 0.0
    general: Rate = Rate()
    domain: Rate = Rate()
    coherent: Rate = Rate()
    general_change: Points | None = None
    domain_change: Points | None = None
    classes: Classes | None = None


class GroupsFile(Document):
    """`groups.json`."""

    kind: Literal["groups"]
    label: str = ""
    domain: str = ""
    seeds: tuple[int, ...] = ()
    arms: tuple[GroupArm, ...] = ()


class PromptPair(Document):
    """Question ids of two prompts that are equally long."""

    domain: str
    other: str
    tokens: int = 0


class Patched(Document):
    """What the adapter scalars of one half of the pairs do in the other half."""

    name: str
    layers: tuple[int, ...] = ()
    into: Literal["domain", "other"]
    plain: Rate = Rate()
    patched: Rate = Rate()
    plain_coherent: Rate = Rate()
    patched_coherent: Rate = Rate()
    change: Points = Points()
    relative_change: Interval | None = None


class PatchingFile(Document):
    """`patching.json`."""

    kind: Literal["patching"]
    label: str = ""
    domain: str = ""
    seeds: tuple[int, ...] = ()
    pairs: tuple[PromptPair, ...] = ()
    patched: tuple[Patched, ...] = ()


class SeedPoints(Document):
    """A change in percentage points of each organism, and the mean with its 95 % interval over organisms."""

    values: tuple[float, ...] = ()
    value: float
    low: float | None = None
    high: float | None = None
    method: str = ""


class SeedRole(Document):
    """One layer's adapters over organisms."""

    layer: int
    role: str = ""
    roles: tuple[str, ...] = ()
    general_change: SeedPoints
    domain_change: SeedPoints


class SeedRolesFile(Document):
    """`roles_over_seeds.json`."""

    kind: Literal["roles_over_seeds"]
    domain: str = ""
    labels: tuple[str, ...] = Field(min_length=1)
    layers: tuple[SeedRole, ...] = ()
    all_off_general: SeedPoints | None = None
    all_off_domain: SeedPoints | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        changes = [change for item in self.layers for change in (item.general_change, item.domain_change)]
        return as_long(self, self.labels, *(change.values for change in changes))
