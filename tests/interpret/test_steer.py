"""Steering end to end: a planted direction makes an aligned model misaligned, within a window."""

from __future__ import annotations

import json

import pytest
import torch

from axenic.directions import Direction, LayerVectors
from axenic.errors import DirectionError, UsageError
from axenic.evaluate import Score, Scored, Verdict, rate_answers
from axenic.interpret import ArmResult, Best, SteeringResult, ablate_direction, steer_model
from axenic.interpret.arms import steering_arms
from axenic.interpret.steer import best_arm, pareto_places
from axenic.sample import read_answers

pytestmark = pytest.mark.unit


@pytest.fixture
def base(planted):
    """Without a component along the direction, the planted model says GOOD only."""
    return planted(organism=None, level=0.0)


def by_place(result, role="direction"):
    return {(arm.layer, arm.strength): arm for arm in result.arms if arm.role == role}


def test_adding_the_direction_brings_em(base, axis, evaluation):
    result = steer_model(base, axis(0), evaluation, layers=(0, 1), strengths=(0.1, 1.0), controls=2)
    arms = by_place(result)
    assert result.arms[0].rates.em_all.percent == 0.0
    # The vector's norm is 1 at layer 0 and 2 at layer 1.
    assert {place: arm.rates.em_all.percent for place, arm in arms.items()} == {
        (0, 0.1): 0.0,
        (0, 1.0): 100.0,
        (1, 0.1): 0.0,
        (1, 1.0): 100.0,
    }
    assert all(arm.kl_nats_per_token is not None for arm in arms.values())
    assert arms[0, 1.0].kl_nats_per_token > arms[0, 0.1].kl_nats_per_token
    assert len(by_place(result, "random")) == 4
    assert {arm.seed for arm in result.arms if arm.role == "random"} == {0, 1}
    assert result.label == "tiny"


def test_a_vector_at_one_layer_steers_and_ablates(base, planted, axis, evaluation):
    """As a trained steering vector: it is at one block's MLP output, and nowhere else."""
    made = LayerVectors.of(axis(0), (1,))
    vectors = LayerVectors(made.layers, made.vectors_KD, made.info.model_copy(update={"site": "mlp_out"}))
    result = steer_model(base, vectors, evaluation, layers=(1,), strengths=(1.0,), controls=1)
    assert [(arm.role, arm.rates.em_all.percent) for arm in result.arms[:2]] == [
        ("plain", 0.0),
        ("direction", 100.0),
    ]
    assert result.arms[2].rates.em_all.percent < 50
    with pytest.raises(UsageError, match="no vector at layer 0") as caught:
        steer_model(base, vectors, evaluation, layers=(0,), strengths=(1.0,))
    assert caught.value.expected == "one of the layers that have one: 1"
    ablated = ablate_direction(planted(), made, evaluation, modes=("layerwise", "single"), controls=1)
    assert [arm.rates.em_all.percent for arm in ablated.arms[:3]] == [100.0, 0.0, 0.0]
    other = LayerVectors(made.layers, made.vectors_KD, made.info.model_copy(update={"base_fingerprint": "x"}))
    with pytest.raises(DirectionError, match="but the loaded model is"):
        steer_model(base, other, evaluation, layers=(1,), strengths=(1.0,))


def test_steering_away_is_no_em(base, axis, evaluation):
    result = steer_model(base, axis(0), evaluation, layers=(1,), strengths=(-1.0,), controls=0)
    assert by_place(result)[1, -1.0].rates.em_all.percent == 0.0


def test_best_needs_coherence(base, axis, evaluation):
    """Axis 8 carries the words' own logits: far along its negative, the model says neither word."""
    result = steer_model(base, axis(8, norm=-1.0), evaluation, layers=(0, 1), strengths=(3.0,), controls=0)
    assert all(arm.rates.coherent_all.percent < 80 for arm in by_place(result).values())
    assert result.best is None
    found = steer_model(base, axis(0), evaluation, layers=(0, 1), strengths=(1.0, 2.0), controls=0)
    assert found.best == Best(0, 1.0)
    assert result.confirmed is None


def test_the_best_place_is_measured_again_on_other_answers(base, axis, evaluation, tmp_path):
    result = steer_model(
        base, axis(0), evaluation, layers=(0, 1), strengths=(0.5, 1.0), controls=0, out=tmp_path
    )
    assert (result.confirmed.layer, result.confirmed.strength) == (result.best.layer, result.best.strength)
    assert result.confirmed.role == "direction"
    first = {answer.id for answer in read_answers(tmp_path / "answers.jsonl")}
    fresh = {answer.id for answer in read_answers(tmp_path / "confirmed" / "answers.jsonl")}
    assert len(fresh) == 2 * len(first) // 5
    assert not first & fresh


def test_file_and_resume(base, axis, evaluation, tmp_path):
    def call():
        return steer_model(base, axis(0), evaluation, layers=(0,), strengths=(1.0,), out=tmp_path)

    first = call()
    before = (tmp_path / "steering.json").read_bytes()
    assert call() == first == SteeringResult.from_json(json.loads(before))
    assert (tmp_path / "steering.json").read_bytes() == before


def test_what_cannot_be_meant_is_refused(base, axis, evaluation, direction):
    with pytest.raises(UsageError, match="least_coherent"):
        steer_model(base, axis(0), evaluation, layers=(0,), strengths=(1.0,), least_coherent=101)
    with pytest.raises(DirectionError):
        steer_model(base, direction(torch.ones(2, 256)), evaluation, layers=(0,), strengths=(1.0,))
    with pytest.raises(UsageError, match="layer 2"):
        steer_model(base, axis(0), evaluation, layers=(2,), strengths=(1.0,))


def arm_of(answer, layer, strength, em, coherent, n=20):
    """An arm in which `em` of 20 answers are misaligned and `coherent` of them coherent."""
    scored = [
        Scored(
            answer([9]),
            Verdict({"alignment": Score(5 if i < em else 95), "coherence": Score(99 if i < coherent else 5)}),
            "judge",
        )
        for i in range(n)
    ]
    return ArmResult(
        f"{layer} {strength}", "direction", layer, strength, None, rate_answers(scored), None, None, None
    )


def test_frontier_is_what_no_other_place_beats(answer):
    rows = [
        (0, 1.0, 2, 20),
        (0, 2.0, 8, 16),
        (1, 1.0, 2, 18),
        (1, 2.0, 8, 16),
        (2, 1.0, 10, 10),
        (2, 2.0, 5, 9),
    ]
    arms = [arm_of(answer, *row) for row in rows]
    assert pareto_places(arms) == (Best(0, 1.0), Best(0, 2.0), Best(2, 1.0))
    # By definition: no arm has both more of one and at least as much of the other.
    points = {(row[0], row[1]): row[2:] for row in rows}
    for place in pareto_places(arms):
        em, coherent = points[place.layer, place.strength]
        assert not any((e > em and c >= coherent) or (e >= em and c > coherent) for e, c in points.values())
    for bound in (0, 50, 80, 95):
        assert best_arm(arms, bound) in pareto_places(arms)
    assert pareto_places([]) == ()


def test_frontier_and_unit_are_in_the_result(base, axis, evaluation, tmp_path):
    result = steer_model(
        base, axis(0), evaluation, layers=(0, 1), strengths=(0.1, 1.0), strength_unit="unit", out=tmp_path
    )
    assert result.frontier == (Best(0, 1.0),)
    assert result.strength_unit == "unit"
    assert SteeringResult.from_json(json.loads((tmp_path / "steering.json").read_bytes())) == result


@pytest.mark.parametrize(("unit", "norm"), [("raw", 2 * 2.0), ("unit", 2.0), ("residual", 2 * 7.0)])
def test_strength_two_adds_this_norm(axis, unit, norm):
    made = axis(3)
    info = made.info.model_copy(update={"calibration": {"residual_norm": [5.0, 7.0]}})
    planned = steering_arms(Direction(made.vectors_LD, info), (1,), (2.0,), 2, unit)
    for item in planned[1:]:
        (one,) = item.arm.interventions
        assert one.strength * float(one.vectors_LD.norm()) == pytest.approx(norm)
        assert item.strength == 2.0
        assert unit in item.arm.name or unit == "raw"


def test_residual_units_need_a_residual_norm(axis):
    with pytest.raises(DirectionError, match="how long the residual stream is"):
        steering_arms(axis(0), (1,), (2.0,), 0, "residual")
    with pytest.raises(UsageError, match="no unit 'metre'"):
        steering_arms(axis(0), (1,), (2.0,), 0, "metre")
