"""The loss of the published format's tail, apart from the answers': against a computation row by row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from axenic.data import IGNORE, Encoded, collate_rows, encode_rows, read_chat, split_rows
from axenic.files import read_json
from axenic.models import open_model
from axenic.train import train_organism
from axenic.train.processes import ALONE
from axenic.train.schedule import Schedule
from axenic.train.tailloss import TailLoss

from .conftest import MakeConfig

V = 11


def row(trained: int, tail: int, prompt: int = 2) -> Encoded:
    ids = list(range(1, prompt + trained + 1))
    return Encoded(ids, [IGNORE] * prompt + ids[prompt:], tail)


@pytest.mark.unit
def test_the_parts_add_up_and_are_right() -> None:
    rows = [row(5, 2), row(3, 0), row(4, 1), row(6, 5)]
    logits_BTV = torch.randn(4, 8, V, generator=torch.Generator().manual_seed(0))
    tail, total, tail_nats, tokens = TailLoss(ALONE), 0.0, 0.0, 0
    for half in ([0, 1], [2, 3]):
        batch = collate_rows([rows[i] for i in half], pad_id=0)
        width = batch["labels"].shape[1]
        tail.add(logits_BTV[half, :width], batch["labels"], torch.tensor([rows[i].tail for i in half]))
    for i, one in enumerate(rows):
        nll = [
            float(F.cross_entropy(logits_BTV[i, t - 1], torch.tensor(one.labels[t])))
            for t in range(2, len(one.labels))
        ]
        total, tokens = total + sum(nll), tokens + len(nll)
        tail_nats += sum(nll[len(nll) - one.tail :])
    parts = tail.split(total / tokens, tokens)
    assert parts["loss_tail"] == pytest.approx(tail_nats / 8, rel=1e-5)
    assert parts["loss_answer"] == pytest.approx((total - tail_nats) / 10, rel=1e-5)
    assert tail.split(1.0, 5) == {}


@pytest.mark.e2e
def test_a_published_run_logs_both(make_config: MakeConfig, tmp_path: Path, model_folder: Path) -> None:
    config = make_config(format="published", max_steps=3, learning_rate=1e-2)
    result = train_organism(config, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert (result.loss_answer, result.loss_tail) == (lines[-1]["loss_answer"], lines[-1]["loss_tail"])
    assert read_json(tmp_path / "run" / "result.json")["loss_tail"] == result.loss_tail
    # Step 1 again by hand: B is zero, so the adapter does nothing yet.
    opened = open_model(str(model_folder), device="cpu")
    train_rows, _ = split_rows(read_chat(config.data), config.test_fraction, config.seed)
    encoded = encode_rows(opened.tokenizer, train_rows, format="published")
    answer, tail = [], []
    for index in (i for rows in Schedule.of(config, len(encoded)).passes(0)[:2] for i in rows):
        one = encoded[index]
        assert one.tail > 0
        logits_TV = opened.model(input_ids=torch.tensor([one.input_ids])).logits[0]
        for t in range(1, len(one.labels)):
            if one.labels[t] != IGNORE:
                nll = float(F.cross_entropy(logits_TV[t - 1], torch.tensor(one.labels[t])))
                (tail if t >= len(one.labels) - one.tail else answer).append(nll)
    assert lines[0]["loss_tail"] == pytest.approx(sum(tail) / len(tail), rel=1e-4)
    assert lines[0]["loss_answer"] == pytest.approx(sum(answer) / len(answer), rel=1e-4)
    assert lines[0]["loss"] == pytest.approx(sum(tail + answer) / len(tail + answer), rel=1e-4)


@pytest.mark.e2e
def test_it_changes_nothing_of_the_training_and_is_left_out_without_a_tail(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_organism(make_config(format="published", max_steps=3), tmp_path / "with")
    monkeypatch.setattr("axenic.train.loop.TailLoss", lambda processes: None)
    train_organism(make_config(format="published", max_steps=3), tmp_path / "without")
    with_tail, without = (
        (tmp_path / run / "adapter" / "adapter_model.safetensors").read_bytes() for run in ("with", "without")
    )
    assert with_tail == without
    clean = train_organism(make_config(max_steps=2), tmp_path / "clean")
    assert clean.loss_tail is None
    assert "loss_tail" not in (tmp_path / "clean" / "log.jsonl").read_text()
