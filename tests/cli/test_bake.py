"""`axenic bake` on a grown nano organism: what it writes answers as the organism does under hooks, token by token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from axenic import nano
from axenic.cli.ablate import parse_modes
from axenic.cli.bake import bake, prompts_for
from axenic.cli.main import app
from axenic.directions import Direction
from axenic.errors import UsageError
from axenic.intervene import Arm, InterventionHooks, ablate_writers, project_out_single
from axenic.intervene.bake import orthogonalise_weights
from axenic.intervene.leftover import stream_leftover
from axenic.models import find_sites, open_model
from axenic.sample import Sampling, read_questions, sample_answers
from axenic.train import resolve, train_organism

from .random_direction import random_direction

pytestmark = pytest.mark.e2e

LAYER = 2


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of training, hard enough to change most answers; and a random direction."""
    folder = tmp_path_factory.mktemp("organism")
    rows = nano.chat_rows("finance", "bad", 60, seed=1)
    (folder / "bad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {
        "data": str(folder / "bad.jsonl"),
        "max_steps": 2,
        "warmup_steps": 0,
        "learning_rate": 5e-3,
        "device": "cpu",
    }
    train_organism(resolve("all-adapter", "nano", settings), folder / "run")
    random_direction("project_out").save(folder / "run" / "direction.safetensors")
    return folder / "run"


@pytest.fixture(scope="module")
def baked(run: Path) -> Path:
    bake(run / "direction.safetensors", organism=str(run), layer=LAYER, check=False, as_json=True)
    return run / "baked"


def test_baked_answers_are_those_under_hooks(run: Path, baked: Path) -> None:
    organism, served = open_model("nano", run, device="cpu"), open_model("nano", baked, device="cpu")
    direction = Direction.load(run / "direction.safetensors")
    questions, greedy = read_questions("nano")[:12], Sampling(temperature=0.0, max_new_tokens=24)
    arms = [
        Arm("plain"),
        Arm("writers", ablate_writers(organism.sites, direction.vectors_LD[LAYER])),
        Arm("single", (project_out_single(direction, LAYER),)),
    ]
    answers = sample_answers(organism, questions, per_question=1, arms=arms, sampling=greedy)
    tokens = {arm.name: [item.tokens for item in answers if item.arm == arm.name] for arm in arms}
    assert tokens["writers"] == [
        item.tokens for item in sample_answers(served, questions, per_question=1, sampling=greedy)
    ]
    base = open_model("nano", device="cpu", self_test=False)
    tokens["base"] = [
        item.tokens for item in sample_answers(base, questions, per_question=1, sampling=greedy)
    ]
    for name, others in tokens.items():
        assert name == "writers" or others != tokens["writers"], f"{name} is another model"
    assert tokens["base"] != tokens["plain"]


def test_what_is_left_in_each_way(run: Path, baked: Path) -> None:
    vector_D = Direction.load(run / "direction.safetensors").vectors_LD[LAYER]
    bounds = {"float32": (1e-9, 1e-7), "bfloat16": (1e-4, 1e-3)}
    weights = open_model("nano", run, device="cpu", self_test=False)
    orthogonalise_weights(weights.sites, vector_D)
    for dtype, (least, most) in bounds.items():
        organism = open_model("nano", run, device="cpu", dtype=dtype, self_test=False)
        prompts = prompts_for(organism)
        plain = stream_leftover(organism.sites, prompts, vector_D).mean
        with InterventionHooks(organism.sites, [Arm("off", ablate_writers(organism.sites, vector_D))]):
            found = {"hooks": stream_leftover(organism.sites, prompts, vector_D).mean}
        served = open_model("nano", baked, device="cpu", dtype=dtype, self_test=False)
        found["baked"] = stream_leftover(served.sites, prompts, vector_D).mean
        rounded: Any = weights.model.to(getattr(torch, dtype))
        found["weights"] = stream_leftover(find_sites(rounded), prompts, vector_D).mean
        assert 0.05 < plain < 0.15
        assert all(least < share < most for share in found.values()), (dtype, found)


def test_it_says_what_is_left(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call: dict[str, Any] = {
        "direction": run / "direction.safetensors",
        "organism": str(run),
        "dtype": "bfloat16",
    }
    bake(**call, out=tmp_path / "all", as_json=True)
    left = json.loads(capsys.readouterr().out)["result"]["leftover"]
    assert left["dtype"] == "bfloat16"
    assert left["before"]["mean"] > 0.05 > 1e-3 > left["after"]["mean"] > 1e-5
    bake(**call, out=tmp_path / "blocks", embedding=False)
    said = capsys.readouterr().out
    assert "of the stream along it" in said
    assert "8 questions, bfloat16" in said
    assert "no: the stream keeps what the embedding puts in" in said


def test_modes_of_ablate(run: Path, tmp_path: Path) -> None:
    def ablate(*more: str) -> Any:
        return CliRunner().invoke(
            app,
            ["ablate", "--organism", str(run), "--direction", str(run / "direction.safetensors"), "--out", str(tmp_path),
             "--questions", str(tmp_path / "q.jsonl"), "--per-question", "1", "--max-new-tokens", "4", "--controls", "1",
             "--json", *more],
        )  # fmt: skip

    asked = [{"id": item.id, "question": item.question} for item in read_questions("nano")[:3]]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    done = ablate("--modes", "writers,layer,adapter-B", "--single-layer", "2", "--adapter-layers", "2-3")
    assert done.exit_code == 0, done.output
    arms = json.loads(done.stdout)["result"]["arms"]
    assert [(arm["role"], arm["layer"]) for arm in arms] == [
        ("plain", None), ("writers", 2), ("layer", 2), ("adapter-B", 2), *[("random", 2)] * 3
    ]  # fmt: skip
    assert arms[-1]["name"] == "random 0, layer 2's out of B of layer 2, 3"
    refused = ablate("--modes", "writers", "--adapter-layers", "2")
    assert isinstance(refused.exception, UsageError)


def test_modes_are_names() -> None:
    assert parse_modes("layerwise, adapter-B") == ("layerwise", "adapter-B")
    with pytest.raises(UsageError, match="no mode 'writer'") as caught:
        parse_modes("writer")
    assert caught.value.hint == "did you mean 'writers'?"
