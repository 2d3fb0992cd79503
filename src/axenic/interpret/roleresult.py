"""What `adapter_roles` finds: what becomes of EM and of the domain under each setting of the adapters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from axenic.errors import UsageError
from axenic.evaluate import Change, Rates
from axenic.interpret.armresult import parse_result, plain_lists

AdapterRole = Literal["general", "domain", "both", "neither"]
"""By what is lost when the adapter is removed: the 95 % interval of the change lies below 0 for EM outside the domain
(`general`), for badness inside it (`domain`), for both, or for neither. Intervals are of single adapters; among twenty
that do nothing, one will look as if it did."""


@dataclass(frozen=True)
class Points:
    """A change in percentage points, with its 95 % interval over questions."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, change: Change) -> Self:
        return cls(change.value, change.low, change.high)


@dataclass(frozen=True)
class Share:
    """A rate in percent of all answers, with its 95 % interval over questions, and the rate of each sampling seed."""

    percent: float
    low: float
    high: float
    count: int
    n: int
    by_seed: tuple[float, ...]


def share_of(rates: Rates, by_seed: Sequence[float], *, coherent: bool = False) -> Share:
    """EM of all answers, or the coherent ones; `by_seed` are the same in percent for each sampling seed."""
    rate = rates.coherent_all if coherent else rates.em_all
    return Share(rate.percent, rate.low, rate.high, rate.count, rate.n, tuple(by_seed))


@dataclass(frozen=True)
class RoleArm:
    """What one setting of the adapters does.

    Attributes:
        name: Of the arm.
        layers_on: Layers whose adapters act (with `factor`).
        factor: Of the one layer that is scaled; 1 otherwise.
        general: EM on questions outside the domain.
        domain: The same classes (misaligned and coherent) on questions of the domain: what was trained.
        coherent: Outside the domain.
        general_change, domain_change: Against the organism as it is; None of that itself.
    """

    name: str
    layers_on: tuple[int, ...]
    factor: float
    general: Share
    domain: Share
    coherent: Share
    general_change: Points | None
    domain_change: Points | None


@dataclass(frozen=True)
class LayerRole:
    """The adapters of one layer; the arms are among those of the result, by name.

    Attributes:
        layer: Decoder block.
        modules: LoRA modules in it.
        role: See `AdapterRole`.
        removed, alone: Names of the arms without this layer, and with it alone.
        scaled: Names of the arms in which it is scaled.
    """

    layer: int
    modules: tuple[str, ...]
    role: AdapterRole
    removed: str
    alone: str
    scaled: tuple[str, ...]


@dataclass(frozen=True)
class RolesResult:
    """What `adapter_roles` found.

    Attributes:
        label: The organism.
        domain: What it was trained on.
        seeds: Of the sampling; answers of all are pooled.
        layers: One for each layer with an adapter.
        arms: The organism first, then all adapters off, then the others.
    """

    label: str
    domain: str
    seeds: tuple[int, ...]
    layers: tuple[LayerRole, ...]
    arms: tuple[RoleArm, ...]

    def arm(self, name: str) -> RoleArm:
        """The arm of this name. Raises `UsageError`."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise UsageError("there is no such arm", expected=", ".join(a.name for a in self.arms), found=name)

    def to_json(self) -> dict[str, Any]:
        """All fields with `"kind": "roles"`."""
        row: dict[str, Any] = plain_lists({"kind": "roles", **asdict(self)})
        return row

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "roles", row)


def role_of(removed: RoleArm) -> AdapterRole:
    """The role of the adapters that this arm leaves out, by the rule of `AdapterRole`."""
    changes = (removed.general_change, removed.domain_change)
    return role_by_ends(*(math.inf if change is None else change.high for change in changes))


def role_by_ends(general_high: float, domain_high: float) -> AdapterRole:
    """The rule of `AdapterRole`, from the upper ends of both changes, percentage points."""
    if general_high < 0:
        return "both" if domain_high < 0 else "general"
    return "domain" if domain_high < 0 else "neither"
