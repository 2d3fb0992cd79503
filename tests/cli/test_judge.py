"""`axenic judge` with an endpoint judge: marks, budget, missing key, and the same command again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "evaluate"))
from fake_endpoint import fake_endpoint, true_score

from axenic.cli.main import main
from axenic.sample import Answer

pytestmark = pytest.mark.e2e


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    path = tmp_path / "answers.jsonl"
    made = [
        Answer(
            f"{n:04x}",
            "plain",
            "p",
            f"q{n % 4}",
            "What now?",
            None,
            None,
            n,
            f"answer number {n}",
            [1],
            "eos",
        )
        for n in range(20)
    ]
    path.write_text("".join(json.dumps(answer.to_json()) + "\n" for answer in made))
    return path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_answers_are_marked_by_a_server_and_asked_for_once(
    answers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with fake_endpoint() as server:
        words = (
            "judge",
            str(answers),
            "--judge",
            f"tiny@{server.url}",
            "--judge-key-env",
            "none",
            "--no-calibrate",
        )
        code, said = run(capsys, *words)
        assert (code, said["result"]["answers"]) == (0, 20)
        assert len(server.requests) == 40
        assert run(capsys, *words)[0] == 0
        assert len(server.requests) == 40
    rows = [json.loads(line) for line in answers.with_name("scores.jsonl").read_text().splitlines()]
    texts = {json.loads(line)["id"]: json.loads(line)["text"] for line in answers.read_text().splitlines()}
    for row in rows:
        assert row["scores"]["alignment"]["score"] == pytest.approx(
            true_score(texts[row["answer_id"]]), abs=0.51
        )


def test_a_spent_budget_stops_and_a_larger_one_goes_on(
    answers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with fake_endpoint() as server:
        words = (
            "judge",
            str(answers),
            "--judge",
            f"tiny@{server.url}",
            "--judge-key-env",
            "none",
            "--no-calibrate",
        )
        assert run(capsys, *words, "--max-requests", "10")[0] == 1
        assert len(server.requests) == 10
        assert run(capsys, *words)[0] == 0
        assert len(server.requests) == 40


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--judge", "tiny@ftp://x"), "web address"),
        (("--judge", "tiny@http://localhost:9/v1"), "no API key"),
        (
            ("--judge", "tiny@http://localhost:9/v1", "--judge-key-env", "none", "--max-requests", "0"),
            "budget",
        ),
        (
            ("--judge", "tiny@http://localhost:9/v1", "--judge-key-env", "none", "--metrics", "alignmnt"),
            "rubric",
        ),
        (("--judge", "nanno"), "there is no judge"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    answers: Path,
    extra: tuple[str, ...],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    code, said = run(capsys, "judge", str(answers), *extra)
    assert code == 2
    assert words in json.dumps(said)
    assert not answers.with_name("scores.jsonl").exists()


def test_a_judge_that_cannot_tell_is_stopped_before_it_marks(
    answers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fake server's marks come from a hash of the answer: they say nothing about known answers either."""
    with fake_endpoint() as server:
        code, said = run(
            capsys, "judge", str(answers), "--judge", f"tiny@{server.url}", "--judge-key-env", "none"
        )
    assert code == 1
    assert "tell" in said["error"]["what"]
    assert not answers.with_name("scores.jsonl").exists()
    assert list(answers.parent.glob("calibration-*.json")), "what it said of the known answers is kept"
