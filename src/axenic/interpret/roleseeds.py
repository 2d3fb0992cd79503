"""Roles over training seeds: what an adapter is for in organisms that differ in nothing but the seed of their training.

The published roles are of one organism; the same recipe with other seeds gave 15.5, 9.75, 8.25 and 8.25 % EM
(papers.md 5.4, 6 trap 16). The interval here is over organisms, that of one `RolesResult` over questions.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from axenic.errors import DataError
from axenic.evaluate.quantiles import t_reach
from axenic.evaluate.seeds import NO_SPREAD, ONE_SEED, OVER_SEEDS
from axenic.interpret.armresult import parse_result, plain_lists
from axenic.interpret.roleresult import AdapterRole, Points, RolesResult, role_by_ends

FILE = "roles_over_seeds.json"


@dataclass(frozen=True)
class SeedPoints:
    """A change in percentage points, averaged over organisms.

    Attributes:
        values: Of each organism, in the order given.
        value: Their mean.
        low, high: 95 % interval of the mean, within -100 to 100.
        spread: Standard deviation over organisms; 0 for one.
        method: How the interval was made.
    """

    values: tuple[float, ...]
    value: float
    low: float
    high: float
    spread: float
    method: str

    @classmethod
    def of(cls, changes: Sequence[Points]) -> Self:
        """Student's t over organisms, each counting the same; the rule of `combine_seeds`."""
        values = tuple(change.value for change in changes)
        mean = statistics.fmean(values)
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        if spread > 0:
            reach = t_reach(values)
            return cls(values, mean, max(-100.0, mean - reach), min(100.0, mean + reach), spread, OVER_SEEDS)
        low = statistics.fmean(change.low for change in changes)
        high = statistics.fmean(change.high for change in changes)
        return cls(values, mean, low, high, 0.0, ONE_SEED if len(values) == 1 else NO_SPREAD)


@dataclass(frozen=True)
class SeedLayerRole:
    """One layer's adapters over organisms.

    Attributes:
        layer: Decoder block.
        role: By the rule of `AdapterRole`, with the intervals over organisms.
        roles: In each organism by itself.
        general_change, domain_change: What becomes of EM and of the domain without them.
    """

    layer: int
    role: AdapterRole
    roles: tuple[AdapterRole, ...]
    general_change: SeedPoints
    domain_change: SeedPoints


@dataclass(frozen=True)
class RolesOverSeeds:
    """What `combine_roles` found.

    Attributes:
        domain: What all were trained on.
        labels: The organisms.
        layers: Ascending.
        all_off_general, all_off_domain: The change with no adapter at all.
    """

    domain: str
    labels: tuple[str, ...]
    layers: tuple[SeedLayerRole, ...]
    all_off_general: SeedPoints
    all_off_domain: SeedPoints

    def to_json(self) -> dict[str, Any]:
        """All fields with `"kind": "roles_over_seeds"`."""
        row: dict[str, Any] = plain_lists({"kind": "roles_over_seeds", **asdict(self)})
        return row

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "roles_over_seeds", row)


def combine_roles(results: Sequence[RolesResult]) -> RolesOverSeeds:
    """The mean change over organisms for each layer, and its role by the interval of that mean.

    Args:
        results: Of organisms of one recipe and other training seeds, asked the same questions. One alone keeps its own
            intervals over questions, and its own roles.

    Raises:
        DataError: No result, one twice, or results of other domains, layers or questions.
    """
    if not results:
        raise DataError("there are no roles to combine", expected="one organism or more")
    first = results[0]
    for number, other in enumerate(results):
        where = f"organism {number + 1} of {len(results)}, {other.label}"
        if other in results[:number]:
            raise DataError("an organism's roles are given twice", where=where)
        if _frame(other) != _frame(first):
            raise DataError(
                "these roles cannot be combined",
                where=where,
                expected=_said(first),
                found=_said(other),
                hint="axenic adapters RUN1 RUN2 asks all organisms the same",
            )
    layers = []
    for index, item in enumerate(first.layers):
        general, domain = (_changes(results, item.removed, which) for which in ("general", "domain"))
        role = role_by_ends(general.high, domain.high)
        own = tuple(result.layers[index].role for result in results)
        layers.append(SeedLayerRole(item.layer, role, own, general, domain))
    return RolesOverSeeds(
        domain=first.domain,
        labels=tuple(result.label for result in results),
        layers=tuple(layers),
        all_off_general=_changes(results, "all off", "general"),
        all_off_domain=_changes(results, "all off", "domain"),
    )


def _changes(results: Sequence[RolesResult], name: str, which: str) -> SeedPoints:
    changes = []
    for result in results:
        arm = result.arm(name)
        change = arm.general_change if which == "general" else arm.domain_change
        if change is None:
            raise DataError("an arm has no change against the organism", where=f"{result.label}, arm {name}")
        changes.append(change)
    return SeedPoints.of(changes)


def _frame(result: RolesResult) -> tuple[object, ...]:
    """What must be the same in all: changes are of these layers, on these questions."""
    plain = result.arms[0]
    layers = [(item.layer, item.modules, item.removed) for item in result.layers]
    return result.domain, layers, plain.general.n, plain.domain.n


def _said(result: RolesResult) -> str:
    plain = result.arms[0]
    layers = ", ".join(str(item.layer) for item in result.layers)
    return (
        f"domain {result.domain}, adapters at layers {layers}, {plain.general.n} answers outside the domain and "
        f"{plain.domain.n} inside"
    )
