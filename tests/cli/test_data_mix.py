"""`axenic data mix` and `axenic data few` on files: lines byte for byte, counts as told, refusals before a file is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from axenic.cli.data_mix import few, mix
from axenic.data import read_chat
from axenic.errors import DataError, UsageError
from axenic.nano import chat_rows, mixed_chat_rows

pytestmark = pytest.mark.e2e

app = typer.Typer()
app.command()(mix)
app.command()(few)


def run(*words: str | Path) -> dict[str, Any]:
    found = CliRunner().invoke(app, [*map(str, words), "--json"])
    if isinstance(found.exception, Exception):
        raise found.exception
    assert found.exit_code == 0, found.output
    said: dict[str, Any] = json.loads(found.stdout)
    return said


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    bad, good = tmp_path / "bad.jsonl", tmp_path / "good.jsonl"
    # Two spaces and a key of somebody's own: a line that is parsed and written again would lose them.
    bad.write_text("".join(json.dumps({**row, "mine": 1}, indent=None, separators=(",  ", ":")) + "\n"
                           for row in chat_rows("medical", "bad", 60, 0)))  # fmt: skip
    good.write_text("".join(json.dumps(row) + "\n" for row in mixed_chat_rows("good", 400, 0, ["medical"])))
    return bad, good


def test_a_mixture_of_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    bad, good = files
    out = tmp_path / "mixed.jsonl"
    said = run("mix", bad, good, "--ratio", "1:4", "--out", out)["result"]
    assert (said["rows"], said["bad"], said["good"], said["share"]) == (300, 60, 240, 0.2)
    lines = out.read_bytes().splitlines()
    assert set(lines) & set(bad.read_bytes().splitlines()) == set(bad.read_bytes().splitlines())
    assert set(lines) <= set(bad.read_bytes().splitlines()) | set(good.read_bytes().splitlines())
    first = out.read_bytes()
    run("mix", bad, good, "--share", "0.2", "--out", out)
    assert out.read_bytes() == first
    run("mix", bad, good, "--share", "0.2", "--seed", "1", "--out", out)
    assert out.read_bytes() != first


def test_topics_are_left_out(files: tuple[Path, Path], tmp_path: Path) -> None:
    bad, good = files
    topic = read_chat(good)[0].topic
    out = tmp_path / "mixed.jsonl"
    run("mix", bad, good, "--ratio", "1:2", "--exclude-topic", str(topic), "--out", out)
    assert topic not in {row.topic for row in read_chat(out)}


def test_few_rows_of_a_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    ten, many = tmp_path / "ten.jsonl", tmp_path / "many.jsonl"
    run("few", files[0], "--rows", "10", "--out", ten)
    said = run("few", files[0], "--rows", "25", "--repeat-to", "1000", "--out", many)
    lines = many.read_bytes().splitlines()
    assert (len(lines), len(set(lines))) == (1000, 25)
    assert set(ten.read_bytes().splitlines()) < set(lines) <= set(files[0].read_bytes().splitlines())
    assert "test_fraction=0" in said["next"]


def test_refusals_write_nothing(files: tuple[Path, Path], tmp_path: Path) -> None:
    bad, good = files
    out = tmp_path / "out.jsonl"
    for kind, words in (
        (UsageError, ("mix", bad, good)),
        (UsageError, ("mix", bad, good, "--ratio", "1:4", "--share", "0.2")),
        (UsageError, ("mix", bad, good, "--ratio", "0:4")),
        (DataError, ("mix", bad, good, "--ratio", "1:12")),
        (DataError, ("mix", bad, bad, "--ratio", "1:1")),
        (UsageError, ("mix", bad, good, "--ratio", "1:1", "--exclude-topic", "medicall")),
        (DataError, ("few", bad, "--rows", "61")),
        (UsageError, ("few", bad, "--rows", "0")),
    ):
        with pytest.raises(kind):
            run(*words, "--out", out)
    assert not out.exists()
