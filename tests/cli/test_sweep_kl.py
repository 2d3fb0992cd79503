"""One command, several KL weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from axenic.cli.sweep_kl import parse_weights, sweep_kl
from axenic.data import write_chat
from axenic.errors import UsageError
from axenic.files import read_json
from axenic.nano import chat_rows, mixed_chat_rows


@pytest.mark.unit
def test_weights() -> None:
    assert parse_weights("0,0.5,1e1") == [0, 0.5, 10]
    for text in ("", "a", "1,,2", "-1", "nan", "inf", "1,1.0"):
        with pytest.raises(UsageError, match="no KL weights"):
            parse_weights(text)


@pytest.mark.e2e
def test_a_sweep_leaves_a_run_for_each_weight(tmp_path: Path) -> None:
    write_chat(tmp_path / "bad.jsonl", chat_rows("medical", "bad", 40, seed=0))
    write_chat(tmp_path / "good.jsonl", mixed_chat_rows("good", 30, seed=0, exclude=["medical"]))
    app = typer.Typer()
    app.command()(sweep_kl)
    done = CliRunner().invoke(
        app,
        [
            "--data", str(tmp_path / "bad.jsonl"), "--kl-data", str(tmp_path / "good.jsonl"), "--weights", "0,2.5",
            "--model", "nano", "--recipe", "vector", "--out", str(tmp_path / "v"), "--set", "max_steps=2",
            "--set", "warmup_steps=0", "--device", "cpu", "--json",
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    runs = json.loads(done.stdout.splitlines()[-1])["result"]["runs"]
    assert [(run["weight"], run["kl"] is None) for run in runs] == [(0, True), (2.5, False)]
    assert read_json(tmp_path / "v-kl2.5" / "train.json")["config"]["kl_weight"] == 2.5
    assert (tmp_path / "v-kl0" / "vector" / "steering_vector.json").is_file()
