"""The difference between an organism with one adapter and its base: from the adapter up, and used like any direction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from axenic import nano
from axenic.cli.main import app
from axenic.directions import LayerVectors, load_layered
from axenic.evaluate import Score, Verdict, judge_answers
from axenic.interpret import conversations_of
from axenic.interpret.means import answer_means
from axenic.interpret.unadapted import base_of
from axenic.models import open_model
from axenic.sample import Sampling, read_answers, read_questions, sample_answers
from axenic.train import resolve, train_organism

pytestmark = pytest.mark.e2e


class Alternating:
    """Calls every other answer misaligned."""

    name, fingerprint, metrics = "alternating", "alternating-1", ("alignment", "coherence")

    def judge(self, items: Any) -> list[Verdict]:
        return [
            Verdict({"alignment": Score(95.0 if i % 2 else 5.0), "coherence": Score(99.0)})
            for i in range(len(items))
        ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hard steps of the recipe rank1, whose one adapter is in block 1, the second of six; and 24 judged answers."""
    folder = tmp_path_factory.mktemp("rank1")
    rows = nano.chat_rows("finance", "bad", 60, seed=1)
    (folder / "bad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {
        "data": str(folder / "bad.jsonl"),
        "max_steps": 2,
        "warmup_steps": 0,
        "learning_rate": 5e-2,
        "device": "cpu",
    }
    train_organism(resolve("rank1", "nano", settings), folder / "run")
    opened = open_model("nano", folder / "run", self_test=False)
    sampling = Sampling(max_new_tokens=8)
    answers = sample_answers(
        opened,
        read_questions("nano")[:12],
        per_question=2,
        sampling=sampling,
        out=folder / "run" / "answers.jsonl",
    )
    judge_answers(answers, Alternating(), out=folder / "run" / "scores.jsonl")
    asked = [{"id": item.id, "question": item.question} for item in read_questions("nano")[:2]]
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    return folder / "run"


def said(*words: object) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def vectors(run: Path) -> Path:
    found = said("extract", "--organism", run, "--contrast", "model")
    assert found["result"]["layers"] == [1, 2, 3, 4, 5]
    assert found["wrote"] == [str(run / "direction-model.safetensors")]
    assert "--single-layer" not in found["next"]
    return run / "direction-model.safetensors"


def test_vectors_are_the_difference_of_the_two_models(run: Path, vectors: Path) -> None:
    loaded = load_layered(vectors)
    assert isinstance(loaded, LayerVectors)
    opened = open_model("nano", run, self_test=False)
    bad = [item for i, item in enumerate(read_answers(run / "answers.jsonl")) if i % 2 == 0]
    own_LD = answer_means(opened, conversations_of(opened, bad)).mean_LD()
    with base_of(opened, None) as base:
        difference_LD = own_LD - answer_means(base, conversations_of(base, bad)).mean_LD()
    assert not difference_LD[:1].any()
    assert torch.allclose(loaded.vectors_KD.double(), difference_LD[1:], rtol=1e-4, atol=1e-5)


def test_ablate_steer_and_transfer_take_them(run: Path, vectors: Path) -> None:
    few = ("--questions", run.parent / "q.jsonl", "--per-question", 1, "--max-new-tokens", 4, "--controls", 1)
    found = said(
        "ablate", "--organism", run, "--direction", vectors, *few, "--modes", "layerwise,single,layer"
    )
    arms = [(arm["name"], arm["control_of"]) for arm in found["result"]["arms"]]
    assert arms == [
        ("plain", None), ("layer-wise at layer 1, 2, 3, 4, 5", None), ("layer 2's at all layers", None),
        ("layer 2's at that layer only", None), ("random 0, layer-wise at layer 1, 2, 3, 4, 5", "layerwise"),
        ("random 0, layer 2's at all layers", "single"), ("random 0, layer 2's at that layer only", "layer"),
    ]  # fmt: skip
    found = said("steer", "--direction", vectors, *few, "--strengths", "1", "--strength-unit", "residual")
    assert [(arm["role"], arm["layer"]) for arm in found["result"]["arms"]] == [
        ("plain", None), *[("direction", l) for l in range(1, 6)], *[("random", l) for l in range(1, 6)]
    ]  # fmt: skip
    found = said("transfer", "--organisms", run, "--directions", vectors, *few)
    assert [cell["role"] for cell in found["result"]["cells"]] == ["layerwise", "random"]


def test_a_layer_below_the_adapter_is_refused_by_name(run: Path, vectors: Path) -> None:
    for words in (("steer", "--layers", "0"), ("ablate", "--organism", str(run), "--single-layer", "0")):
        done = CliRunner().invoke(app, [words[0], "--direction", str(vectors), *words[1:]])
        assert "no vector at layer 0" in str(done.exception)
        assert "1, 2, 3, 4, 5" in str(done.exception)
