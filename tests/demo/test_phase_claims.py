"""Rows of the phase transition: a rotation in most seeds, behaviour before it or with it, and what is not there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from axenic.demo.phase_claims import phase_claims
from axenic.evaluate import Rate
from axenic.interpret import RunPhase, ScaledBehaviour
from axenic.interpret.onset import Onset
from axenic.interpret.pathcurves import PcaPath
from axenic.interpret.phase import PhaseResult
from axenic.interpret.scaled import ScaledCurve, ScaledPoint
from axenic.interpret.transition import Transition, combine_transitions

pytestmark = pytest.mark.unit

RATE = Rate(1, 10, 10.0, 1.0, 30.0, 10.0)


def transition(step: int | None) -> Transition:
    kind = "none" if step is None else "rotation"
    ends = (None, None) if step is None else (step - 2, step + 2)
    p = 0.6 if step is None else 0.001
    return Transition(kind, step, *ends, p, 0.1, 0.2, (2, 4, 6), None, 999)  # type: ignore[arg-type]


def phase(*steps: int | None) -> RunPhase:
    found = [transition(step) for step in steps]
    vector = PhaseResult(
        "B", (0, 40, 80), (0.0, 1.0, 2.0), 0.0, (), PcaPath((1.0,), ((0.0,),)), None, {}, found[0]
    )
    return RunPhase("run", (vector,), {}, None, {}, {}, ("a", "b", "c"), {"B": combine_transitions(found)})


def scaled(**onsets: int | None) -> ScaledBehaviour:
    curves = tuple(
        ScaledCurve(
            float(name[1:]), (ScaledPoint(0, RATE, RATE, 0, {}),), (0.0,),
            None if step is None else Onset(step, step - 1, step + 1, 80),
        )
        for name, step in onsets.items()
    )  # fmt: skip
    return ScaledBehaviour("run", curves, (), 2, 54, "nano", ("medical",))


def held(rows: object) -> dict[str, bool | None]:
    return {row.id: row.holds for row in rows}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [((40, 42, 44), True), ((40, 42, None), True), ((40, None, None), False), ((None, None, None), False)],
)
def test_most_seeds_must_turn(steps: tuple[int | None, ...], expected: bool) -> None:
    rows = phase_claims({"rank1": phase(*steps), "rank1x9": phase(None, None, None)}, {})
    assert held(rows) == {"p1-rotation": expected, "p1-rotation-all-blocks": False}
    assert all(row.seeds == 3 for row in rows)


def test_scaled_behaviour_must_come_first_in_every_seed() -> None:
    good = {0: scaled(x1=60, x5=20), 1: scaled(x1=50, x5=30)}
    assert held(phase_claims({}, good)) == {"p1-scaled-onset": True}
    for late in (scaled(x1=30, x5=30), scaled(x1=None, x5=20), scaled(x1=60, x5=None), scaled(x1=60)):
        assert held(phase_claims({}, {**good, 2: late})) == {"p1-scaled-onset": False}


def test_turning_together() -> None:
    behaviour = {0: scaled(x1=60, x5=44), 1: scaled(x1=60, x5=36)}
    rows = {row.id: row for row in phase_claims({"rank1": phase(40, 40, 40)}, behaviour)}
    assert rows["p1-turns-together"].holds is True
    assert "4, 4 steps apart" in rows["p1-turns-together"].measured
    far = {**behaviour, 1: scaled(x1=60, x5=49)}
    assert held(phase_claims({"rank1": phase(40, 40, 40)}, far))["p1-turns-together"] is False
    none = {row.id: row for row in phase_claims({"rank1": phase(None, None, None)}, behaviour)}
    assert none["p1-turns-together"].holds is None
    assert "no rotation to compare with" in none["p1-turns-together"].measured


def test_a_path_that_is_too_short_says_so() -> None:
    short = phase(None, None)
    vector = replace(short.vectors[0], transition=None)
    row = phase_claims({"rank1": replace(short, vectors=(vector,))}, {})[0]
    assert "too few steps" in row.measured
