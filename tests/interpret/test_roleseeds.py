"""Roles over seeds against the textbook t interval."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from axenic.errors import DataError
from axenic.interpret.roleresult import LayerRole, Points, RoleArm, RolesResult, Share, role_of
from axenic.interpret.roleseeds import RolesOverSeeds, SeedPoints, combine_roles

pytestmark = pytest.mark.unit

SHARE = Share(40.0, 30.0, 50.0, 40, 100, (40.0,))


def result(label, changes, *, domain="medical", n=100):
    """`changes`: for each layer (general, domain), the change without it, +- 3 points."""

    def arm(name, general, inside):
        points = [None if v is None else Points(v, v - 3, v + 3) for v in (general, inside)]
        share = replace(SHARE, n=n)
        return RoleArm(name, (0, 1), 1.0, share, share, share, *points)

    arms = [arm("organism", None, None), arm("all off", -40.0, -80.0)]
    arms += [arm(f"without {layer}", *pair) for layer, pair in enumerate(changes)]
    layers = tuple(
        LayerRole(
            layer, (f"layers.{layer}.x",), role_of(arms[2 + layer]), f"without {layer}", f"only {layer}", ()
        )
        for layer in range(len(changes))
    )
    return RolesResult(label, domain, (1000,), layers, tuple(arms))


def test_mean_interval_and_role():
    first = [(-20.0, -1.0), (-5.0, -30.0)]
    second = [(-22.0, 2.0), (6.0, -34.0)]
    third = [(-18.0, -2.0), (-4.0, -29.0)]
    results = [result(f"seed{i}", changes) for i, changes in enumerate((first, second, third))]
    found = combine_roles(results)
    assert [item.role for item in found.layers] == ["general", "domain"]
    # Alone the first organism's second layer serves both; over organisms EM does not fall for certain.
    assert found.layers[1].roles == ("both", "domain", "both")
    values = [-5.0, 6.0, -4.0]
    low, high = stats.t.interval(0.95, 2, loc=statistics.fmean(values), scale=stats.sem(values))
    change = found.layers[1].general_change
    assert (change.low, change.high) == pytest.approx((low, high))
    assert (change.value, change.values, change.spread) == (-1.0, (-5.0, 6.0, -4.0), statistics.stdev(values))
    assert found.labels == ("seed0", "seed1", "seed2")
    assert (found.all_off_domain.value, found.all_off_domain.spread) == (-80.0, 0.0)
    assert found.all_off_domain.method.startswith("the seeds agree exactly")
    row = json.loads(json.dumps(found.to_json()))
    assert row["kind"] == "roles_over_seeds"
    assert RolesOverSeeds.from_json(row) == found


def test_one_organism_keeps_its_own_intervals_and_roles():
    alone = result("a", [(-20.0, -1.0), (-2.0, -2.0)])
    found = combine_roles([alone])
    assert (
        [item.role for item in found.layers] == [item.role for item in alone.layers] == ["general", "neither"]
    )
    change = found.layers[0].general_change
    assert (change.low, change.high, change.spread) == (-23.0, -17.0, 0.0)
    assert change.method.startswith("one seed")


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=6))
def test_the_interval_holds_its_mean_and_stays_possible(values):
    change = SeedPoints.of([Points(v, v, v) for v in values])
    assert -100 <= change.low <= change.value + 1e-9
    assert change.value - 1e-9 <= change.high <= 100


def test_what_cannot_be_combined():
    one = result("a", [(-20.0, -1.0)])
    with pytest.raises(DataError, match="no roles"):
        combine_roles([])
    with pytest.raises(DataError, match="twice"):
        combine_roles([one, one])
    others = [
        result("b", [(-20.0, -1.0)], domain="finance"),
        result("b", [(-20.0, -1.0), (0.0, 0.0)]),
        result("b", [(-20.0, -1.0)], n=50),
    ]
    for other in others:
        with pytest.raises(DataError, match="cannot be combined"):
            combine_roles([one, other])
