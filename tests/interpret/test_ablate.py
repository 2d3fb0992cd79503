"""Ablation end to end on a model with a planted direction."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import axenic.interpret.measure as measure
from axenic.errors import DataError, DirectionError, UsageError
from axenic.interpret import AblationResult, Evaluation, ablate_direction
from axenic.sample import Sampling, read_answers, sample_answers

pytestmark = pytest.mark.unit


def em(arm):
    return arm.rates.em_all.percent


def test_planted_direction_is_all_of_the_misalignment(planted, axis, evaluation):
    result = ablate_direction(planted(), axis(0), evaluation, controls=3)
    plain, layerwise, single, *controls = result.arms
    assert em(plain) == 100.0
    assert em(layerwise) == em(single) == 0.0
    assert layerwise.relative_change.value == -100.0
    assert [em(control) for control in controls] == [100.0] * 6
    assert (plain.relative_change, plain.kl_nats_per_token) == (None, None)
    assert layerwise.rates.coherent_all.percent == 100.0
    assert (result.label, result.direction) == ("planted", "axis0")


def test_other_ways_to_ablate_it(planted, axis, evaluation):
    result = ablate_direction(
        planted(), axis(0), evaluation, modes=("writers", "layer"), single_layer=1, controls=2
    )
    plain, writers, layer, *controls = result.arms
    assert (writers.role, layer.role, layer.layer) == ("writers", "layer", 1)
    assert (em(plain), em(writers), em(layer)) == (100.0, 0.0, 0.0)
    assert [em(control) for control in controls] == [100.0] * 4
    assert AblationResult.from_json(result.to_json()) == result


def test_out_of_b_is_the_adapter_with_another_b(lora, direction, evaluation, tmp_path):
    """As one more arm of the batch: the greedy answers of the organism whose weights hold the published formula."""
    opened = lora(layers=3, width=32, rank=1, at=(1,))
    generator = torch.Generator().manual_seed(0)
    made = direction(torch.randn(3, 32, generator=generator), base=opened.identity.base)
    greedy = replace(evaluation, per_question=1, sampling=Sampling(temperature=0.0, max_new_tokens=8))
    result = ablate_direction(
        opened, made, greedy, modes=("adapter-B", "layer"), single_layer=1, controls=1, out=tmp_path
    )
    assert [(arm.role, arm.layer) for arm in result.arms] == [
        ("plain", None), ("adapter-B", 1), ("layer", 1), ("random", 1), ("random", 1)
    ]  # fmt: skip
    answers = read_answers(tmp_path / "answers.jsonl")
    r_D = made.vectors_LD[1].double() / made.vectors_LD[1].double().norm()
    (site,) = opened.sites.lora_modules().values()
    with torch.no_grad():
        b_D = site.lora_B.weight[:, 0]
        left_D = b_D - (r_D @ b_D) * r_D
        site.lora_B.weight[:, 0] = left_D * (b_D.norm() / left_D.norm())
    expected = sample_answers(opened, greedy.questions, per_question=1, sampling=greedy.sampling)
    tokens = {
        name: [answer.tokens for answer in answers if answer.arm == name]
        for name in [arm.name for arm in result.arms]
    }
    assert tokens["layer 1's out of B"] == [answer.tokens for answer in expected] != tokens["plain"]


def test_another_direction_does_nothing(planted, axis, evaluation):
    result = ablate_direction(planted(), axis(5), evaluation, controls=1)
    assert [em(arm) for arm in result.arms] == [100.0] * 5
    assert result.arms[1].relative_change.value == 0.0


def test_cost_is_measured_on_aligned_plain_answers(planted, axis, evaluation):
    """A component of 0.38 leaves half of the plain words aligned, so that there is something to measure on."""
    result = ablate_direction(
        planted(level=0.38), axis(0), replace(evaluation, per_question=8), modes=("layerwise",), controls=1
    )
    plain, layerwise, control = result.arms
    assert 0 < em(plain) < 100
    assert layerwise.kl_nats_per_token > 0.1 > control.kl_nats_per_token >= 0
    assert layerwise.kl_stderr is not None


def test_no_aligned_answer_leaves_the_cost_unknown(planted, axis, evaluation):
    result = ablate_direction(planted(), axis(0), evaluation, controls=0)
    assert [arm.kl_nats_per_token for arm in result.arms] == [None] * 3


def test_files_and_the_same_bytes_again_without_sampling_or_judging(
    planted, axis, evaluation, tmp_path, judge
):
    opened = planted(level=0.38)
    first = ablate_direction(opened, axis(0), evaluation, controls=1, out=tmp_path)
    names = ["ablation.json", "answers.arms.json", "answers.jsonl", "costs.jsonl", "scores.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    before = {name: (tmp_path / name).read_bytes() for name in names}
    assert judge.judged == 30 == len(read_answers(tmp_path / "answers.jsonl"))
    opened.sites.decoder.register_forward_pre_hook(_forbidden)
    (tmp_path / "ablation.json").unlink()
    second = ablate_direction(opened, axis(0), evaluation, controls=1, out=tmp_path)
    assert second == first
    assert judge.judged == 30
    assert {name: (tmp_path / name).read_bytes() for name in names} == before
    assert AblationResult.from_json(json.loads(before["ablation.json"])) == first


@pytest.mark.parametrize("lost", ["answers.jsonl", "scores.jsonl", "costs.jsonl"])
def test_torn_files_are_made_whole(planted, axis, evaluation, tmp_path, lost):
    def call():
        ablate_direction(planted(level=0.38), axis(0), evaluation, controls=1, out=tmp_path)

    call()
    whole = (tmp_path / lost).read_bytes()
    (tmp_path / lost).write_bytes(whole[: len(whole) // 3])
    before = (tmp_path / "ablation.json").read_bytes()
    call()
    assert (tmp_path / lost).read_bytes() == whole
    assert (tmp_path / "ablation.json").read_bytes() == before


def test_answers_of_a_renamed_arm_are_still_told_apart(planted, axis, evaluation, tmp_path):
    """The single layer by default and by number are one arm under one id, here under a name of an earlier run."""
    opened = planted()
    first = ablate_direction(opened, axis(0), evaluation, controls=0, out=tmp_path)
    path = tmp_path / "answers.jsonl"
    path.write_text(path.read_text().replace("layer-wise", "an old name").replace('"plain"', '"bare"'))
    again = ablate_direction(opened, axis(0), evaluation, controls=0, out=tmp_path)
    assert [em(arm) for arm in again.arms] == [em(arm) for arm in first.arms] == [100.0, 0.0, 0.0]


def test_direction_of_another_model_is_refused_before_sampling(planted, direction, evaluation, monkeypatch):
    monkeypatch.setattr(measure, "sample_answers", _forbidden)
    with pytest.raises(DirectionError, match="extracted from"):
        ablate_direction(planted(), direction(torch.ones(2, 256), base="another"), evaluation)


def test_excluded_topics_are_not_asked(planted, axis, evaluation, tmp_path):
    narrow = replace(evaluation, exclude_topics=("medical",))
    result = ablate_direction(planted(), axis(0), narrow, controls=0, out=tmp_path)
    assert {answer.topic for answer in read_answers(tmp_path / "answers.jsonl")} == {"finance", "sports"}
    assert result.arms[0].rates.exclude_topics == ("medical",)


def test_evaluation_that_asks_nothing_is_refused(evaluation, judge):
    with pytest.raises(UsageError, match="no question"):
        Evaluation((), 1, judge)
    with pytest.raises(UsageError, match="no answers"):
        replace(evaluation, per_question=0)
    with pytest.raises(DataError, match="excluded topic"):
        replace(evaluation, exclude_topics=("medical", "finance", "sports"))
    with pytest.raises(DataError, match="no question has a topic"):
        Evaluation(
            tuple(replace(q, topic=None) for q in evaluation.questions), 1, judge, exclude_topics=("x",)
        )


def test_sampling_defaults_to_the_papers(evaluation, judge):
    assert Evaluation(evaluation.questions, 1, judge).sampling == Sampling(1.0, 1.0, 600, 0)


def _forbidden(*args, **kwargs):
    raise AssertionError("the model ran")
