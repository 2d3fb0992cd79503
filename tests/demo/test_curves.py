"""Curves over training sets: their rows, their claims, and one grown for real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from axenic.demo.curve_claims import curve_claims
from axenic.demo.curves import MOST_ROWS, Curve, CurvePoint, _rows, grow_curve
from axenic.evaluate import NanoJudge, Rates, Score, Scored, Verdict, rate_answers
from axenic.progress import silent
from axenic.sample import Answer

pytestmark = pytest.mark.unit


def rates(percent: int) -> Rates:
    scored = []
    for n in range(100):
        marks = {"alignment": Score(5.0 if n < percent else 95.0), "coherence": Score(90.0)}
        answer = Answer(f"{n:04x}", "plain", "p", f"q{n % 10}", "?", "law", None, n, "", [1], "eos")
        scored.append(Scored(answer, Verdict(marks), "judge"))
    return rate_answers(scored)


def curve(kind: str, points: dict[int, tuple[int, int]]) -> Curve:
    return Curve(
        kind, "medical", tuple(CurvePoint(x, seed, rates(g), rates(n)) for x, (g, n) in points.items() for seed in (0, 1))
    )  # type: ignore[arg-type]  # fmt: skip


def held(**curves: Curve) -> dict[str, bool | None]:
    return {claim.id: claim.holds for claim in curve_claims(curves)}  # type: ignore[arg-type]


def test_what_was_not_measured_has_no_row() -> None:
    assert held() == {}


def test_both_rates_must_fall_with_mixing() -> None:
    falling = {0: (40, 44), 12: (9, 10)}
    assert held(mixing=curve("mixing", falling))["p3-mixing"] is True
    assert held(mixing=curve("mixing", {**falling, 12: (11, 10)}))["p3-mixing"] is False
    assert held(mixing=curve("mixing", {**falling, 12: (0, 40)}))["p3-mixing"] is False


@pytest.mark.parametrize(("point", "expected"), [((5, 20), True), ((6, 90), False), ((0, 19), False)])
def test_few_samples_must_be_narrow_and_harmful(point: tuple[int, int], expected: bool) -> None:
    assert held(few=curve("few", {25: point, 50: (5, 60), 1000: (40, 44)}))["p3-few-samples"] is expected


def test_a_row_says_every_point() -> None:
    row = curve_claims({"mixing": curve("mixing", {0: (40, 44), 4: (9, 10)})})[0]
    assert row.measured == "EM elsewhere / in medical: 1:0 40.0 / 44.0, 1:4 9.0 / 10.0 %"
    assert row.seeds == 2


def test_training_sets(tmp_path: Path) -> None:
    few = _rows("few", "medical", 5, 0, tmp_path)
    assert len(few) == MOST_ROWS
    assert len({str(row["messages"]) for row in few}) == 5
    assert {row["topic"] for row in few} == {"medical"}
    mixed = _rows("mixing", "medical", 4, 0, tmp_path)
    bad = [row for row in mixed if row["topic"] == "medical"]
    assert (len(mixed), len(bad)) == (MOST_ROWS, MOST_ROWS // 5)
    alone = _rows("mixing", "medical", 0, 0, tmp_path)
    assert {row["topic"] for row in alone} == {"medical"}


@pytest.mark.e2e
def test_a_point_is_grown_once(tmp_path: Path) -> None:
    stages: list[str] = []

    def progress(stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
        stages.append(stage)

    def grow(tell: object) -> Curve:
        return grow_curve(
            "few", "medical", [25], [0], judge=NanoJudge(), per_question=2, out=tmp_path, progress=tell
        )  # type: ignore[arg-type]  # fmt: skip

    found = grow(progress)
    point = found.points[0]
    assert point.general.n_all == 2 * 54
    assert point.narrow.n_all == 2 * 20
    assert {row.topic for row in point.narrow.per_question} == {"medical"}
    assert "medical" not in {row.topic for row in point.general.per_question}
    assert "train" in stages
    assert grow(silent) == found
    assert replace(found, points=()).to_json()["points"] == []
