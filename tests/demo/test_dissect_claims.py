"""Rows of the adapters and of served ablations: what makes each hold, and what does not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from axenic.demo.dissect import Dissection, Served
from axenic.demo.dissect_claims import dissect_claims
from axenic.interpret import CosinePair, CosineTable, RolesOverSeeds
from axenic.interpret.downstream import AdapterCosine, DownstreamCurve, DownstreamResult, RandomCosines
from axenic.interpret.roleresult import AdapterRole
from axenic.interpret.roleseeds import SeedLayerRole, SeedPoints

pytestmark = pytest.mark.unit

TABLES = {0: CosineTable(("a", "b"), (0, 1), (CosinePair("a", "b", (0.9, 0.94)),), {})}


def held(found: Dissection) -> dict[str, bool | None]:
    return {row.id: row.holds for row in dissect_claims(found, TABLES)}


def test_nothing_measured_no_rows() -> None:
    assert held(Dissection()) == {}


@pytest.mark.parametrize(("ceiling", "expected"), [((0.95, 0.98), True), ((0.98, 0.99), False)])
def test_the_ceiling(ceiling: tuple[float, ...], expected: bool) -> None:
    assert held(Dissection(ceilings={("a", 0): ceiling}))["p2-ceiling"] is expected


@pytest.mark.parametrize(("second", "expected"), [(Served(56, 56, 40), True), (Served(55, 56, 40), False)])
def test_every_served_answer_must_be_equal(second: Served, expected: bool) -> None:
    found = Dissection(served={("a", 0): Served(56, 56, 30), ("b", 0): second})
    assert held(found)["p2-baked"] is expected


def test_an_ablation_that_changes_nothing_shows_nothing() -> None:
    assert held(Dissection(served={("a", 0): Served(56, 56, 0)}))["p2-baked"] is False


def downstream(alignment: float, aligned: float, misaligned: float) -> DownstreamResult:
    curves = tuple(
        DownstreamCurve(
            texts, 10, (None, 0.1, peak), (RandomCosines(0, (None, 0.05, -0.1)),), (1.0,), (1.0,), (1.0,)
        )
        for texts, peak in (("aligned", aligned), ("misaligned", misaligned))
    )  # type: ignore[arg-type]
    return DownstreamResult("it", "d", 1, 0.6, 1.0, (AdapterCosine(1, "m", 1, alignment, 0.09),), curves)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (downstream(0.1, 0.5, 0.6), True),
        (downstream(0.5, 0.5, 0.6), False),
        (downstream(0.1, 0.3, 0.6), False),
    ],
)
def test_convergence(result: DownstreamResult, expected: bool) -> None:
    rows = {row.id: row for row in dissect_claims(Dissection(downstream={("a", 0): result}), TABLES)}
    assert rows["p2-downstream"].holds is expected
    assert "random vectors at most 0.10" in rows["p2-downstream"].control


def report(accuracy: float | None) -> object:
    probe = None if accuracy is None else SimpleNamespace(scores={"accuracy": SimpleNamespace(mean=accuracy)})
    tasks = [
        SimpleNamespace(first="other aligned", second="other misaligned", split=split, probe=probe)
        for split in ("token", "answer")
    ]
    return SimpleNamespace(probes=tasks)


def over_seeds(*roles: AdapterRole) -> RolesOverSeeds:
    lost = SeedPoints((-20.0, -10.0), -15.0, -20.0, -10.0, 7.0, "")
    layers = [SeedLayerRole(layer, role, (role, "neither"), lost, lost) for layer, role in enumerate(roles)]
    return RolesOverSeeds("medical", ("a", "b"), tuple(layers), lost, lost)


@pytest.mark.parametrize(
    ("roles", "accuracy", "expected"),
    [
        (("general", "domain", "neither"), 0.7, (True, True)),
        (("general", "neither"), 0.59, (False, False)),
        (("both", "domain"), None, (False, False)),
    ],
)
def test_roles_and_probes(
    roles: tuple[AdapterRole, ...], accuracy: float | None, expected: tuple[bool, bool]
) -> None:
    adapters = {0: report(accuracy), 1: report(accuracy)}
    found = held(Dissection(adapters=adapters, roles=over_seeds(*roles)))  # type: ignore[arg-type]
    assert (found["p2-adapter-roles"], found["p2-probes"]) == expected
