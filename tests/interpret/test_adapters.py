"""The whole dissection of a small organism: parts fit together and are written."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch

from axenic.errors import DataError
from axenic.evaluate import Score, Scored, Verdict
from axenic.interpret.adapters import _layer_sets, dissect_adapters
from axenic.interpret.groups import AdapterGroup
from axenic.interpret.probetasks import answer_class
from axenic.interpret.roleresult import LayerRole, RolesResult
from axenic.interpret.scalarfile import read_scalars
from axenic.interpret.scalars import collect_scalars
from axenic.interpret.significance import token_significance
from axenic.report.documents import AdaptersFile
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
    saved = read_scalars(tmp_path / "scalars.parquet")
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


def test_groups_and_patching_as_part_of_it(lora, answers, evaluation, tmp_path):
    opened, scored = lora(size=0.1), judged(answers(24))
    asked = replace(
        evaluation,
        per_question=1,
        questions=(
            Question("m", "handle a fever ?", topic="medical"),
            Question("f", "handle a race ?", topic="sports"),
            Question("g", "stay calm", topic="sports"),
        ),
    )
    report = dissect_adapters(
        opened, scored, "medical", evaluation=asked, with_roles=False, groups=[AdapterGroup.parse("one=2*1")],
        pairs=3, significance=False, repeats=1, out=tmp_path,
    )  # fmt: skip
    assert report.roles is None
    assert [arm.name for arm in report.groups.arms] == ["organism", "one"]
    assert [(pair.domain, pair.other) for pair in report.patching.pairs] == [("m", "f")]
    row = json.loads((tmp_path / "adapters.json").read_bytes())
    assert row["groups"] == json.loads((tmp_path / "groups" / "groups.json").read_bytes())
    assert row["patching"] == json.loads((tmp_path / "patching" / "patching.json").read_bytes())
    classes = pq.read_table(tmp_path / "scalars.parquet", columns=["answer_id", "class"]).to_pylist()
    by_answer = {item.answer.id: answer_class(item, "medical") for item in scored}
    assert {row["answer_id"]: row["class"] for row in classes} == by_answer
    assert set(by_answer.values()) == {
        "domain aligned",
        "domain misaligned",
        "other aligned",
        "other misaligned",
    }
    assert AdaptersFile.model_validate(row).label == report.label


def test_prompts_without_a_partner_are_said_before_any_work(lora, answers, evaluation):
    told = []
    asked = replace(evaluation, questions=evaluation.questions[::2])
    with pytest.raises(DataError, match="no prompts can be paired"):
        dissect_adapters(
            lora(), judged(answers(4)), "medical", evaluation=asked, pairs=1,
            progress=lambda *args, **facts: told.append(args),
        )  # fmt: skip
    assert told == []


def test_layer_sets_are_all_and_each_role_that_is_a_part():
    roles = RolesResult(
        "x",
        "medical",
        (0,),
        tuple(
            LayerRole(layer, (), role, "", "", ())
            for layer, role in ((0, "general"), (1, "both"), (2, "domain"))
        ),
        (),
    )
    assert _layer_sets({0, 1, 2}, roles) == {"all": [0, 1, 2], "general": [0], "domain": [2]}
    assert _layer_sets({0}, replace(roles, layers=roles.layers[:1])) == {"all": [0]}
    assert _layer_sets({0, 1}, None) == {"all": [0, 1]}
