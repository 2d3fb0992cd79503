"""Steering end to end: a planted direction makes an aligned model misaligned, within a window."""

from __future__ import annotations

import json

import pytest
import torch

from axenic.errors import DirectionError, UsageError
from axenic.interpret import Best, SteeringResult, steer_model
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
