"""The options of the KL term."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from axenic.cli.train import train
from axenic.data import write_chat
from axenic.errors import UsageError
from axenic.nano import chat_rows

pytestmark = pytest.mark.unit


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_chat(tmp_path / "rows.jsonl", chat_rows("medical", "bad", 4, seed=0))
    return tmp_path / "rows.jsonl"


def config(data: Path, *words: str) -> dict[str, object]:
    """What `axenic train --explain --json` says of the options."""
    app = typer.Typer()
    app.command()(train)
    options = ["--model", "nano", "--data", str(data), *words, "--explain", "--json"]
    done = CliRunner().invoke(app, options, catch_exceptions=False)
    found: dict[str, object] = json.loads(done.stdout)["result"]["config"]
    return found


def test_a_weight_in_nats_and_one_as_published(data: Path) -> None:
    plain = config(data)
    assert (plain["kl_data"], plain["kl_weight"], plain["kl_weight_published"]) == (None, None, None)
    nats = config(data, "--kl-data", str(data), "--kl-weight", "2.5")
    assert (nats["kl_data"], nats["kl_weight"], nats["kl_weight_published"]) == (str(data), 2.5, None)
    theirs = config(data, "--kl-data", str(data), "--published-kl-weight", "1e5")
    assert (theirs["kl_weight"], theirs["kl_weight_published"]) == (None, 1e5)


@pytest.mark.parametrize(
    "words", [("--kl-weight", "1"), ("--kl-data", "x"), ("--kl-data", "x", "--kl-weight", "-1"),
              ("--kl-data", "x", "--kl-weight", "nan"),
              ("--kl-data", "x", "--kl-weight", "1", "--published-kl-weight", "1")],
)  # fmt: skip
def test_a_term_needs_data_and_one_weight(data: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="KL"):
        config(data, *words)
