"""Results as JSON, there and back, and the pages' promise about their keys."""

from __future__ import annotations

import json

import pytest

from axenic.errors import DataError
from axenic.evaluate import Score, Scored, Verdict, rate_answers
from axenic.interpret import (
    AblationResult,
    ArmResult,
    Best,
    CosinePair,
    CosineTable,
    RelativeChange,
    SteeringResult,
    TransferCell,
    TransferResult,
)
from axenic.interpret.steer import best_arm
from axenic.report.documents import parse_result as parse_for_report

pytestmark = pytest.mark.unit


@pytest.fixture
def rates(answers):
    """Rates with a given share of EM among coherent answers."""

    def make(em, coherent=100, n=100):
        marks = [(5.0 if i < em else 95.0, 90.0 if i < coherent else 10.0) for i in range(n)]
        return rate_answers(
            [
                Scored(answer, Verdict({"alignment": Score(a), "coherence": Score(c)}), "judge")
                for answer, (a, c) in zip(answers(n), marks, strict=True)
            ]
        )

    return make


@pytest.fixture
def arm(rates):
    def make(role="direction", layer=1, strength=2.0, em=20, coherent=100, change=True):
        return ArmResult(
            f"{role} {layer} {strength}",
            role,
            layer,
            strength,
            None,
            rates(em, coherent),
            RelativeChange(-50.0, -80.0, None) if change else None,
            0.25,
            0.01,
        )

    return make


@pytest.fixture
def results(arm, rates):
    plain = arm("plain", None, None, 40, change=False)
    cell = TransferCell("d", "o", "layerwise", None, rates(3), RelativeChange(-90.0, -99.0, -70.0), 0.1, None)
    control = TransferCell(None, "o", "random", 1, rates(30), None, None, None)
    return {
        "ablation": AblationResult("o", "d", (plain, arm("layerwise", None, None))),
        "steering": SteeringResult("o", "d", (plain, arm()), Best(1, 2.0), 80.0),
        "transfer": TransferResult(("d",), ("o",), {"o": rates(40)}, (cell, control)),
        "cosines": CosineTable(
            ("a", "b"), (0, 1), (CosinePair("a", "b", (0.5, None)),), {"a": (1.0, 2.0), "b": (3.0, 4.0)}
        ),
    }


@pytest.mark.parametrize("kind", ["ablation", "steering", "transfer", "cosines"])
def test_results_survive_json(results, kind):
    result = results[kind]
    text = json.dumps(result.to_json(), allow_nan=False)
    again = type(result).from_json(json.loads(text))
    assert again == result
    assert json.loads(text)["kind"] == kind


@pytest.mark.parametrize("kind", ["ablation", "steering", "transfer", "cosines"])
def test_the_report_reads_every_result(results, kind):
    read = parse_for_report(json.loads(json.dumps(results[kind].to_json())), "here")
    assert read.kind == kind


def test_arm_has_the_keys_of_the_page(arm):
    page = {"name", "role", "layer", "strength", "rates", "relative_change", "kl_nats_per_token"}
    assert page <= set(arm().to_json())
    assert set(arm().to_json()["relative_change"]) == {"value", "low", "high"}


def test_relative_change_is_in_percent(rates):
    change = RelativeChange.between(rates(40), rates(4))
    assert change.value == pytest.approx(-90.0)
    assert -100 <= change.low < -90 < change.high


def test_no_em_before_is_no_change(rates):
    assert RelativeChange.between(rates(0), rates(4)) is None


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        {},
        {"kind": "steering"},
        {"kind": "ablation"},
        {"kind": "ablation", "label": "x", "direction": 3, "arms": []},
    ],
)
def test_other_json_is_refused(row):
    with pytest.raises(DataError):
        AblationResult.from_json(row)


def test_best_is_the_highest_em_that_is_coherent_enough(arm):
    arms = [
        arm("plain", None, None, em=90, change=False),
        arm(layer=1, strength=1.0, em=20),
        arm(layer=1, strength=2.0, em=60, coherent=85),
        arm(layer=2, strength=2.0, em=75, coherent=79),
        arm("random", layer=3, strength=2.0, em=80),
    ]
    assert best_arm(arms, 80.0) == Best(1, 2.0)
    assert best_arm(arms, 79.0) == Best(2, 2.0)
    assert best_arm(arms, 90.0) == Best(1, 1.0)
    assert best_arm([arms[0], arms[4]], 0.0) is None
