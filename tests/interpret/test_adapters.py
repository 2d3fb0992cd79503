"""The whole dissection of a small organism: parts fit together and are written."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from axenic.errors import DataError
from axenic.evaluate import Score, Scored, Verdict
from axenic.interpret.adapters import dissect_adapters
from axenic.interpret.scalars import AdapterScalars, collect_scalars
from axenic.interpret.significance import token_significance
from axenic.sample import Question

pytestmark = pytest.mark.unit


def judged(answers):
    marks = [(95.0 if i % 2 else 5.0, "medical" if i % 4 < 2 else "finance") for i in range(len(answers))]
    return [
        Scored(a, Verdict({"alignment": Score(score), "coherence": Score(99.0)}, topic), "judge")
        for a, (score, topic) in zip(answers, marks, strict=True)
    ]


def test_parts_are_those_of_the_single_calls(lora, answers, evaluation, tmp_path):
    opened, scored = lora(size=0.1), judged(answers(40))
    asked = replace(
        evaluation,
        per_question=1,
        questions=(*evaluation.questions, Question("q9", "a fever ?", topic="medical")),
    )
    report = dissect_adapters(opened, scored, "medical", evaluation=asked, repeats=2, top=3, out=tmp_path)
    texts = [item.answer for item in scored]
    score_T, kl_N = token_significance(opened, texts)
    scalars = collect_scalars(opened, texts, score_T=score_T)
    saved = AdapterScalars.load(tmp_path / "scalars.safetensors")
    assert torch.equal(saved.scalars_TC, scalars.scalars_TC)
    assert torch.allclose(saved.score_T, scalars.score_T)
    assert report.kl_nats_per_token == pytest.approx(float(kl_N.sum()) / len(score_T))
    assert [task.split for task in report.probes] == ["token", "answer"] * 4
    assert [item.layer for item in report.roles.layers] == [0, 1, 2]
    assert len(report.lens) == 3
    row = json.loads((tmp_path / "adapters.json").read_bytes())
    assert row == json.loads(json.dumps(report.to_json()))
    assert (row["kind"], row["domain"], row["n_answers"]) == ("adapters", "medical", 40)
    assert row["adapters"][1]["mean_scalar"] == pytest.approx(float(scalars.scalars_TC[:, 1].double().mean()))
    assert (tmp_path / "roles" / "roles.json").is_file()


def test_without_roles_and_significance(lora, answers):
    scored = judged(answers(24))
    report = dissect_adapters(lora(at=(1,)), scored, "medical", significance=False, repeats=1)
    assert report.roles is None
    assert report.kl_nats_per_token is None
    assert report.scalars.score_T is None


def test_answers_of_two_arms_are_refused(lora, answers):
    scored = judged(answers(4))
    other = replace(scored[0], answer=replace(scored[0].answer, arm="ablated", arm_id="b"))
    with pytest.raises(DataError, match="one arm"):
        dissect_adapters(lora(), [*scored, other], "medical")
    with pytest.raises(DataError, match="no answer"):
        dissect_adapters(lora(), [], "medical")
