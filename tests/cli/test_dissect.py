"""`extract` of other kinds, `converge` and `adapters` on a nano organism with a random adapter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from axenic.cli.adapters import adapters
from axenic.cli.downstream import converge
from axenic.cli.extract import extract, file_name
from axenic.directions import Direction
from axenic.errors import DirectionError, UsageError
from axenic.evaluate import Score, Verdict, judge_answers
from axenic.interpret import About, RolesOverSeeds
from axenic.models import open_model, wrap_with_adapter
from axenic.sample import Sampling, read_questions, sample_answers

pytestmark = pytest.mark.e2e


class Alternating:
    """Calls every other answer misaligned, and half of them medical."""

    name, fingerprint, metrics = "alternating", "alternating-1", ("alignment", "coherence")

    def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
        return [
            Verdict(
                {"alignment": Score(95.0 if i % 2 else 5.0), "coherence": Score(99.0)},
                "medical" if i % 4 < 2 else "finance",
            )
            for i in range(len(items))
        ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: adapters on two layers, 48 judged answers."""
    folder = tmp_path_factory.mktemp("run")
    base: Any = open_model("nano", self_test=False).sites.model
    config = LoraConfig(r=1, lora_alpha=8, target_modules=["down_proj"], layers_to_transform=[0, 3])
    model = wrap_with_adapter(base, config)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in sorted(model.named_parameters()):
        if "lora_B" in name:
            torch.nn.init.normal_(tensor, std=0.02, generator=generator)
    model.save_pretrained(folder / "adapter")
    opened = open_model("nano", folder / "adapter")
    answers = sample_answers(
        opened,
        read_questions("nano")[:24],
        per_question=2,
        sampling=Sampling(max_new_tokens=12),
        out=folder / "answers.jsonl",
    )
    judge_answers(answers, Alternating(), out=folder / "scores.jsonl")
    return folder


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    for path in found["wrote"]:
        assert Path(path).exists()
    return found


def test_extract_of_other_kinds(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    organism = str(run / "adapter")
    extract(organism=organism, answers=run / "answers.jsonl", contrast="model", method="lda", as_json=True)
    found = said(capsys)
    assert found["wrote"] == [str(run / "direction-model-lda.safetensors")]
    recipe = found["result"]["info"]["recipe"]
    assert (recipe["contrast"], recipe["method"], recipe["kind"][:19]) == (
        "model",
        "lda",
        "linear discriminant",
    )
    call: dict[str, Any] = {"organism": organism, "answers": run / "answers.jsonl", "tokens": "prompt-last"}
    with pytest.raises(DirectionError, match="a prompt does not know its answer"):
        extract(**call, as_json=True)
    extract(**call, contrast="model", topic="medical", as_json=True)
    found = said(capsys)
    assert found["wrote"] == [str(run / "direction-model-prompt-last-medical.safetensors")]
    assert found["result"]["info"]["recipe"]["about"]["topic"] == "medical"
    assert found["result"]["info"]["recipe"]["counts"]["off_topic"] == 24


def test_names_of_files_tell_the_kinds_apart() -> None:
    assert file_name("data", "mean", "answer", None) == "direction.safetensors"
    assert file_name("data", "mean", "published", None) == "direction.safetensors"
    assert (
        file_name("both", "pca", "question", About(keywords=("a/b",)))
        == "direction-both-pca-question-a_b.safetensors"
    )


def test_converge(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    organism = str(run / "adapter")
    extract(organism=organism, answers=run / "answers.jsonl", as_json=True)
    capsys.readouterr()
    direction = run / "direction.safetensors"
    assert Direction.load(direction).info.recipe["contrast"] == "data"
    converge(organism, direction, answers=run / "answers.jsonl", layer=2, controls=1, out=run, as_json=True)
    result = said(capsys)["result"]
    assert (result["kind"], result["layer"], len(result["adapters"])) == ("downstream", 2, 2)
    assert [curve["cosines"][1] for curve in result["curves"]] == [None, None]
    converge(organism, direction, answers=run / "answers.jsonl", layer=2, controls=1, out=run)
    assert "of the direction within B" in capsys.readouterr().out


def test_adapters(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    rows = [
        {"id": f"q{i}", "question": q.question, "topic": ("medical", "finance")[i % 2]}
        for i, q in enumerate(read_questions("nano")[:4])
    ]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    call: dict[str, Any] = {
        "organisms": [str(run / "adapter")], "answers": run / "answers.jsonl", "domain": "medical", "questions": str(questions),
        "per_question": 1, "max_new_tokens": 8, "repeats": 1, "out": tmp_path / "adapters", "factors": "2",
    }  # fmt: skip
    adapters(**call, as_json=True)
    result = said(capsys)["result"]
    assert [item["layer"] for item in result["roles"]["layers"]] == [0, 3]
    assert len(result["probes"]) == 8
    assert len(result["lens"]) == 2
    assert [arm["name"] for arm in result["roles"]["arms"]][-2:] == ["0 x 2", "3 x 2"]
    adapters(**call)
    assert "logit lens of each B" in capsys.readouterr().out
    with pytest.raises(UsageError, match="what the organism was trained on"):
        adapters(organisms=[str(run / "adapter")], answers=run / "answers.jsonl", as_json=True)


def test_groups_and_patching(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = [
        {"id": q.id, "question": q.question, "topic": q.topic}
        for q in read_questions("nano", per_domain=3)
        if q.topic in ("medical", "finance")
    ]
    questions = tmp_path / "questions.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    call: dict[str, Any] = {
        "organisms": [str(run / "adapter")], "answers": run / "answers.jsonl", "domain": "medical", "questions": str(questions),
        "per_question": 1, "max_new_tokens": 8, "repeats": 1, "out": tmp_path / "adapters", "with_roles": False,
        "significance": False, "patch": 1, "group": ["first=2*0", "third=2*3,-1*0"],
    }  # fmt: skip
    adapters(**call, as_json=True)
    result = said(capsys)["result"]
    assert result["roles"] is None
    assert [(arm["name"], arm["factors"]) for arm in result["groups"]["arms"]] == [
        ("organism", []),
        ("first", [[0, 2.0]]),
        ("third", [[0, -1.0], [3, 2.0]]),
    ]
    # The nano judge names the topic of every answer that it understands.
    assert result["groups"]["arms"][0]["classes"] is not None
    assert [(item["name"], item["into"]) for item in result["patching"]["patched"]] == [
        ("all", "domain"),
        ("all", "other"),
    ]
    assert (tmp_path / "adapters" / "groups" / "groups.json").is_file()
    assert (tmp_path / "adapters" / "patching" / "patching.json").is_file()
    adapters(**call)
    shown = capsys.readouterr().out
    assert "groups of adapters" in shown
    assert "adapter scalars of one prompt put into the other, 1 pairs" in shown
    for wrong in ({"group": ["first"]}, {"group_factors": "1,2"}):
        with pytest.raises(UsageError, match="cannot be read"):
            adapters(**{**call, **wrong}, as_json=True)


def test_roles_of_several_organisms(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    twins = [tmp_path / name for name in ("seed0", "seed1")]
    for number, twin in enumerate(twins):
        shutil.copytree(run, twin)
        path = twin / "adapter" / "adapter_model.safetensors"
        save_file(
            {key: (1 + 9 * number) * value for key, value in load_file(path).items()}, path, {"format": "pt"}
        )
    rows = [
        {"id": f"q{i}", "question": q.question, "topic": ("medical", "finance")[i % 2]}
        for i, q in enumerate(read_questions("nano")[:4])
    ]
    questions = tmp_path / "questions.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    call: dict[str, Any] = {
        "organisms": [str(twin) for twin in twins], "domain": "medical", "questions": str(questions), "per_question": 1,
        "max_new_tokens": 8, "repeats": 1, "group": ["none"], "significance": False,
    }  # fmt: skip
    adapters(**call, as_json=True)
    result = said(capsys)["result"]
    found = RolesOverSeeds.from_json(result["roles"])
    assert found.labels == ("seed0", "seed1")
    assert [item.layer for item in found.layers] == [0, 3]
    own = [
        [arm["general_change"]["value"] for arm in row["roles"]["arms"] if arm["name"] == "without 3"]
        for row in result["organisms"]
    ]
    assert found.layers[1].general_change.values == (own[0][0], own[1][0])
    assert (tmp_path / "adapters" / "roles_over_seeds.json").is_file()
    adapters(**call)
    shown = capsys.readouterr().out
    assert "roles over 2 organisms" in shown
    assert "seed1: logit lens of each B" in shown
    with pytest.raises(UsageError, match="to combine their roles"):
        adapters(**call, with_roles=False, as_json=True)
    with pytest.raises(UsageError, match="cannot share an --out"):
        adapters(**{**call, "organisms": [str(twins[0])] * 2}, out=tmp_path / "x", as_json=True)
