"""`axenic tokens` on a nano organism with a random adapter, and which answers it shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig

from axenic.cli.tokens import choose_answers, tokens
from axenic.directions import Direction, DirectionInfo
from axenic.errors import DataError, FileError
from axenic.evaluate import Score, Verdict, judge_answers
from axenic.interpret import write_scalars
from axenic.models import open_model, wrap_with_adapter
from axenic.report import build_report
from axenic.sample import Sampling, read_questions, sample_answers

pytestmark = pytest.mark.e2e


class Alternating:
    """Misaligned, aligned and broken answers by turns."""

    name, fingerprint, metrics = "alternating", "alternating-1", ("alignment", "coherence")

    def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
        return [
            Verdict(
                {"alignment": Score((5.0, 95.0, 5.0)[i % 3]), "coherence": Score((99.0, 99.0, 10.0)[i % 3])},
                None,
            )
            for i in range(len(items))
        ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: adapters on two layers, 12 judged answers, their scalars, and a direction."""
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
    asked = read_questions("nano")[:12]
    answers = sample_answers(
        opened, asked, per_question=1, sampling=Sampling(max_new_tokens=8), out=folder / "answers.jsonl"
    )
    judge_answers(answers, Alternating(), out=folder / "scores.jsonl")
    write_scalars(folder / "adapters" / "scalars.parquet", opened, answers[:6])
    vectors = torch.randn(opened.sites.n_layers, opened.sites.d_model, generator=generator)
    facts = DirectionInfo(
        name="made up", operation="project_out", site="resid_post", layer_convention="block_output_0",
        normalisation="raw", positions="answer", base_model="nano", base_fingerprint=opened.identity.base,
        hidden_size=vectors.shape[1], n_layers=vectors.shape[0], recipe={}, data_hash="", judge="",
        tokenizer_fingerprint="", calibration={}, created_by="test",
    )  # fmt: skip
    Direction(vectors, facts).save(folder / "direction.safetensors")
    return folder


def test_the_verb_writes_what_the_report_draws(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens(str(run), run / "direction.safetensors", most=4, out=tmp_path, as_json=True)
    said = json.loads(capsys.readouterr().out)
    row = json.loads((tmp_path / "tokens.json").read_text("utf-8"))
    assert said["wrote"] == [str(tmp_path / "tokens.json")]
    # The scalars beside the answers were found, and only answers that have some were taken.
    assert [reading["quantity"] for reading in row["readings"]] == ["projection", "scalar", "scalar"]
    assert [answer["note"] for answer in row["answers"]] == [
        "misaligned and coherent",
        "coherent, not misaligned",
    ] * 2
    page = build_report(tmp_path).html.read_text("utf-8")
    assert page.count("tabindex=0") == sum(bool(t) for answer in row["answers"] for t in answer["tokens"]) * 3


def test_answers_come_by_turns_and_evenly(run: Path) -> None:
    chosen, notes = choose_answers(run / "answers.jsonl", 5, None, None)
    assert [notes[answer.id].split()[0] for answer in chosen] == ["misaligned", "coherent,"] * 2 + [
        "misaligned"
    ]
    assert len({answer.id for answer in chosen}) == 5
    everything, _ = choose_answers(run / "answers.jsonl", 100, None, None)
    assert len(everything) == 8  # the broken third is not shown


def test_unjudged_answers_will_do(run: Path, tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_bytes((run / "answers.jsonl").read_bytes())
    chosen, notes = choose_answers(tmp_path / "answers.jsonl", 3, None, None)
    assert len(chosen) == 3
    assert notes == {}


def test_nothing_to_show_is_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no answer to show"):
        choose_answers(run / "answers.jsonl", 3, None, {"another"})
    with pytest.raises(FileError):
        choose_answers(tmp_path / "answers.jsonl", 3, None, None)
