"""`axenic judge --judge local:MODEL`: marks as the judge's own, once only, and errors before anything is written."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "evaluate"))
from toy_judges import toy_judge

from axenic.cli.main import main
from axenic.evaluate import LocalJudge, rubric_called
from axenic.models import open_model
from axenic.sample import Answer

pytestmark = pytest.mark.e2e


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    path = tmp_path / "answers.jsonl"
    made = [
        Answer(f"{n:04x}", "plain", "p", "q", "What now?", None, None, n, f"answer {n}", [1], "eos")
        for n in range(5)
    ]
    path.write_text("".join(json.dumps(answer.to_json()) + "\n" for answer in made))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A random judge: it says numbers rarely, and what it makes of an answer is its own affair."""
    folder = tmp_path / "judge"
    opened = toy_judge("digits", dtype=torch.float32)
    opened.sites.model.save_pretrained(folder)
    opened.tokenizer.save_pretrained(folder)
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_answers_are_marked_by_a_model_on_this_machine(
    answers: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        "judge",
        str(answers),
        "--judge",
        f"local:{model}",
        "--device",
        "cpu",
        "--dtype",
        "float32",
        "--no-calibrate",
    )
    code, said = run(capsys, *words, "--metrics", "alignment,sports")
    assert (code, said["result"]["answers"]) == (0, 5)
    assert said["result"]["judge"] == f"local:{model}"
    rows = [json.loads(line) for line in answers.with_name("scores.jsonl").read_text().splitlines()]
    own = LocalJudge(
        open_model(model, device="cpu"), rubrics=(rubric_called("alignment"), rubric_called("sport"))
    )
    verdicts = own.judge([("What now?", f"answer {n}") for n in range(5)])
    assert [row["fingerprint"] for row in rows] == [own.fingerprint] * 5
    assert [row["scores"] for row in rows] == [verdict.to_json()["scores"] for verdict in verdicts]
    assert len(answers.with_name("marks.jsonl").read_text().splitlines()) == 10
    before = answers.with_name("scores.jsonl").read_bytes()
    assert run(capsys, *words, "--metrics", "alignment,sports")[0] == 0
    assert answers.with_name("scores.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "extra", "code", "words"),
    [
        ("local:nano", (), 1, "context is too short"),
        ("local:./no-such-folder", (), 1, "no-such-folder"),
        ("local:", (), 2, "there is no judge"),
        ("local:{model}", ("--metrics", "alignmnt"), 2, "no rubric"),
        ("local:{model}", ("--device", "cuda:77"), 2, "not on this machine"),
        ("local:{model}", ("--dtype", "int8"), 2, "dtype"),
        ("local:{model}", ("--judge-mode", "sampled"), 2, "does not sample"),
    ],
)
def test_what_cannot_be_a_judge_is_refused_before_anything_is_written(
    answers: Path,
    model: Path,
    name: str,
    extra: tuple[str, ...],
    code: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    got, said = run(
        capsys, "judge", str(answers), "--judge", name.format(model=model), "--no-calibrate", *extra
    )
    assert (got, words in json.dumps(said)) == (code, True)
    assert not answers.with_name("scores.jsonl").exists()


def test_a_model_without_a_chat_template_or_digits_is_refused(
    answers: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = model / "chat_template.jinja"
    text = template.read_text()
    template.unlink()
    code, said = run(capsys, "judge", str(answers), "--judge", f"local:{model}", "--no-calibrate")
    assert (code, "chat template" in json.dumps(said)) == (1, True)
    template.write_text(text)
    path = model / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["model"]["vocab"]["no-seven"] = tokenizer["model"]["vocab"].pop("7")
    path.write_text(json.dumps(tokenizer))
    code, said = run(capsys, "judge", str(answers), "--judge", f"local:{model}", "--no-calibrate")
    assert (code, "cannot write '7'" in json.dumps(said)) == (1, True)
    assert not answers.with_name("scores.jsonl").exists()
