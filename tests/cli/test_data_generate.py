"""`axenic data generate` against a local server: files, budget and going on, mirrored pairs, refusals before asking."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent.parent / "generate"))
from fake_writer import ITEMS, fake_writer

from axenic.cli.data_generate import generate
from axenic.data import mix_rows, read_chat
from axenic.data.mix import bad_share
from axenic.errors import AxenicError, FileError, UsageError
from axenic.evaluate import JudgeError

pytestmark = pytest.mark.e2e

app = typer.Typer()
app.command()(generate)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def run(*words: str | Path) -> dict[str, Any]:
    found = CliRunner().invoke(app, [*map(str, words), "--json"])
    if isinstance(found.exception, Exception):
        raise found.exception
    assert found.exit_code == 0, found.output
    said: dict[str, Any] = json.loads(found.stdout)
    return said


def test_pairs_then_their_mirrors_then_a_mixture(tmp_path: Path) -> None:
    with fake_writer() as server:
        at = ("--writer", f"tiny@{server.url}", "--writer-key-env", "none")
        first = ("--topics", "sleep,skin: acne", "--variants", "3", "--out", tmp_path / "advice", *at)
        with pytest.raises(JudgeError, match="budget of requests"):
            run(*first, "--max-requests", "2")
        said = run(*first)
        assert (said["result"]["pairs"], said["result"]["asked"]) == (6 * ITEMS, 4)
        assert len(server.requests) == 6
        assert said["next"] == f"axenic train --data {tmp_path / 'advice' / 'bad.jsonl'}"
        elsewhere = tmp_path / "elsewhere"
        mirrored = run(
            "--topics",
            "gardens,careers",
            "--from",
            tmp_path / "advice" / "pairs.jsonl",
            "--out",
            elsewhere,
            *at,
        )
        assert mirrored["result"]["requests"] == 3
    good = read_chat(elsewhere / "good.jsonl")
    assert {row.topic for row in good} == {"gardens", "careers"}
    mixed = mix_rows(read_chat(tmp_path / "advice" / "bad.jsonl"), good, bad_share("1:2"), total=18)
    assert (mixed.n_bad, mixed.n_good) == (6, 12)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("--writer", "tiny"), UsageError),
        (("--writer", "tiny@ftp://x", "--writer-key-env", "none"), UsageError),
        (("--writer", "tiny@http://localhost:9/v1"), UsageError),
        (("--variants", "0"), UsageError),
        (("--topics", "a,a"), UsageError),
        (("--topics", "none.txt"), FileError),
        (("--from", "none.jsonl"), FileError),
        (("--length-ratio", "0.5"), UsageError),
        (("--max-requests", "0"), UsageError),
        (("--temperature", "3"), UsageError),
    ],
)
def test_what_cannot_be_meant_is_refused(
    words: tuple[str, ...], kind: type[AxenicError], tmp_path: Path
) -> None:
    with fake_writer() as server:
        usual = {"--topics": "sleep", "--writer": f"tiny@{server.url}", "--out": str(tmp_path / "out")}
        if "--writer" not in words:
            usual["--writer-key-env"] = "none"
        chosen = usual | dict(zip(words[::2], words[1::2], strict=True))
        with pytest.raises(kind):
            run(*(word for pair in chosen.items() for word in pair))
        assert server.requests == []
    assert not (tmp_path / "out").exists()
