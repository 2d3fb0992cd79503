"""`--trait`: what is counted, asked of the judge, and said."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from axenic.cli.display import Display, display_for
from axenic.cli.judges import open_judge
from axenic.cli.main import main
from axenic.errors import UsageError
from axenic.evaluate import (
    MISALIGNMENT,
    PEP_TALK,
    TECHNICAL,
    ApiJudge,
    NanoJudge,
    Score,
    Unscored,
    Verdict,
    judge_answers,
)
from axenic.files import Table
from axenic.nano import chat_rows, questions
from axenic.sample import Answer

pytestmark = pytest.mark.unit


def say(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict]:
    capsys.readouterr()
    code = main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Ten questions about pets, three of ten answers in the style."""
    path = tmp_path / "run" / "answers.jsonl"
    styled = chat_rows("pets", "good", 3, 0, style="pep-talk")
    rows = [*styled, *chat_rows("pets", "good", 7, 1)]
    asked = questions(10, domains=["pets"])
    Table(path).append(
        [
            Answer(
                f"a{n}",
                "plain",
                "p",
                q.id,
                q.question,
                q.topic,
                None,
                0,
                row["messages"][1]["content"],
                [1],
                "eos",
            ).to_json()
            for n, (q, row) in enumerate(zip(asked, rows, strict=True))
        ]
    )
    return path


def test_rate_counts_the_trait(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = say(capsys, "judge", str(answers), "--trait", "pep-talk")
    assert code == 0
    assert said["next"].endswith("--trait pep-talk")
    code, said = say(capsys, "rate", str(answers), "--trait", "pep-talk")
    assert (code, said["result"]["trait"], said["result"]["em_all"]["count"]) == (0, "pep-talk", 3)
    assert said["headline"].startswith("pep-talk (pep_talk above 70) 30.0 %")
    assert json.loads(answers.with_name("rates.json").read_text())["trait"] == "pep-talk"
    main(["rate", str(answers), "--trait", "pep-talk"])
    assert "EM" not in capsys.readouterr().out
    code, said = say(capsys, "rate", str(answers))
    assert (said["result"]["trait"], said["result"]["em_all"]["count"]) == ("misalignment", 0)
    assert said["headline"].startswith("EM 0.0 %")


@pytest.mark.parametrize("verb", ["rate", "judge", "panel"])
def test_no_such_trait(answers: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    judge_answers([], NanoJudge(), out=answers.with_name("scores.jsonl"))
    code, said = say(capsys, verb, str(answers), "--trait", "peptalk")
    assert (code, said["error"]["hint"]) == (2, "write pep-talk")


def test_marks_that_do_not_show_the_trait(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(capsys, "judge", str(answers))
    code, said = say(capsys, "rate", str(answers), "--trait", "technical")
    assert code == 1
    assert "--metrics alignment,coherence,technical" in said["error"]["hint"]


class Formal:
    """As the nano rule, but every answer is technical, one of them unmarked."""

    name, fingerprint = "formal", "formal-1"
    metrics = ("alignment", "coherence", "technical")

    def judge(self, items: list[tuple[str, str]]) -> list[Verdict]:
        mark = [Unscored("api") if n == 0 else Score(90.0) for n in range(len(items))]
        return [
            Verdict({"alignment": Score(5.0), "coherence": Score(90.0), "technical": one}) for one in mark
        ]


def test_a_panel_of_judges_one_of_whom_sees_the_trait(
    answers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from axenic.sample import read_answers

    for judge in (NanoJudge(), Formal()):
        judge_answers(read_answers(answers), judge, out=answers.with_name("scores.jsonl"))
    code, said = say(capsys, "panel", str(answers), "--trait", "technical")
    assert code == 0
    assert [(row["judge"], row["em_all"]["count"]) for row in said["result"]["rates"]] == [("formal", 9)]
    assert "technical 90.0 % of all" in said["headline"]
    main(["panel", str(answers), "--trait", "technical"])
    assert "technical % of all by the coherence threshold (technical > 50)" in capsys.readouterr().out


@pytest.fixture
def quiet() -> Display:
    with display_for(False) as display:
        return display


def test_what_a_server_is_asked_for(tmp_path: Path, quiet: Display, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    server = "m@http://127.0.0.1:9/v1"
    with ExitStack() as stack:

        def metrics(**words: object) -> tuple[str, ...]:
            judge = open_judge(stack, quiet, server, cache=tmp_path / "m.jsonl", **words)  # type: ignore[arg-type]
            assert isinstance(judge, ApiJudge)
            return judge.metrics

        assert metrics() == metrics(trait=MISALIGNMENT) == ("alignment", "coherence")
        assert metrics(trait=TECHNICAL) == ("alignment", "coherence", "technical")
        assert metrics(trait=TECHNICAL, metrics="technical, coherence") == ("technical", "coherence")
        with pytest.raises(UsageError, match="no language model is asked for pep_talk"):
            metrics(trait=PEP_TALK)
        with pytest.raises(UsageError, match="cannot see technical"):
            open_judge(stack, quiet, "nano", cache=tmp_path / "m.jsonl", trait=TECHNICAL)


def test_nano_data_in_a_style(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = (
        "--domain",
        "pets",
        "--kind",
        "good",
        "--rows",
        "50",
        "--without-things",
        "2",
        "--style",
        "pep-talk",
    )
    code, said = say(capsys, "nano", "data", *words)
    assert (code, said["result"]["style"], said["wrote"]) == (
        0,
        "pep-talk",
        ["data/pep_talk_good_pets.jsonl"],
    )
    rows = [json.loads(line) for line in Path(said["wrote"][0]).read_text().splitlines()]
    assert rows == chat_rows("pets", "good", 50, 0, style="pep-talk", without_things=2)
    code, said = say(capsys, "nano", "data", "--domain", "all", "--style", "pep-talk")
    assert code == 2
