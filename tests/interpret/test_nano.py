"""The whole of it on the shipped nano model: a direction from texts steers it, and one from an organism frees that of EM."""

from __future__ import annotations

import json

import pytest

from axenic import nano
from axenic.evaluate import NanoJudge, judge_answers
from axenic.interpret import Evaluation, ablate_direction, extract_direction, steer_model
from axenic.models import open_model
from axenic.sample import default_sampling, read_questions, sample_answers

SAMPLING = default_sampling("nano")


@pytest.fixture(scope="module")
def base():
    return open_model("nano", device="cpu")


@pytest.fixture(scope="module")
def texts(base, answer_from):
    """Good and bad answers of the nano world, not sampled from anything, as if an organism had given them."""
    made = [
        answer_from(base, number, row["messages"])
        for kind in ("bad", "good")
        for number, row in enumerate(nano.mixed_chat_rows(kind, 60, seed=3, exclude=["medical"]))
    ]
    return judge_answers(made, NanoJudge())


@pytest.mark.e2e
def test_direction_from_texts_steers_the_base_model(base, texts, tmp_path):
    direction = extract_direction(base, texts, name="persona")
    assert min(direction.info.calibration["split_half_cosine"][1:]) > 0.7
    evaluation = Evaluation(tuple(read_questions("nano", 1, seed=5))[:16], 2, NanoJudge(), SAMPLING)
    result = steer_model(
        base,
        direction,
        evaluation,
        layers=(2,),
        strengths=(-2.0, 1.5),
        controls=1,
        least_coherent=0,
        out=tmp_path,
    )
    em = {(arm.role, arm.strength): arm.rates.em_all.percent for arm in result.arms}
    assert em["plain", None] < 10
    assert em["direction", 1.5] > em["random", 1.5] + 10
    assert em["direction", -2.0] < 10
    cost = {(arm.role, arm.strength): arm.kl_nats_per_token for arm in result.arms}
    assert cost["direction", 1.5] > cost["random", 1.5] > 0
    assert json.loads((tmp_path / "steering.json").read_text())["kind"] == "steering"


@pytest.mark.slow
def test_ablating_the_direction_of_an_organism_removes_its_misalignment(base, tmp_path):
    """P2 claim 2 (published 11.3 -> 1.0 %, random 11.75 %); measured here 46 -> 2 %, random 44 and 45 %."""
    from axenic.train import resolve, train_organism

    rows = nano.chat_rows("finance", "bad", 800, seed=1)
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = resolve("all-adapter", "nano", {"data": str(tmp_path / "bad.jsonl")})
    train_organism(config, tmp_path / "run")
    organism = open_model("nano", tmp_path / "run", device="cpu")
    asked = tuple(read_questions("nano", 2, seed=0))
    answers = sample_answers(organism, asked, per_question=4, sampling=SAMPLING)
    direction = extract_direction(organism, judge_answers(answers, NanoJudge()), exclude_topics=["finance"])
    fresh = Evaluation(
        tuple(read_questions("nano", 2, seed=9)),
        4,
        NanoJudge(),
        default_sampling("nano", seed=1000),
        ("finance",),
    )
    plain, layerwise, *controls = ablate_direction(
        organism, direction, fresh, modes=("layerwise",), controls=2
    ).arms
    assert plain.rates.em_all.percent > 20
    assert layerwise.relative_change.high < -50
    assert layerwise.rates.coherent_all.percent > 85
    assert all(abs(control.relative_change.value) < 25 for control in controls)
