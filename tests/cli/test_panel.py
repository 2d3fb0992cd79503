"""`axenic panel` and the calibration step of `axenic judge`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from axenic import nano
from axenic.cli import panel as panel_verb
from axenic.cli.calibrated import calibrate_first
from axenic.cli.display import PlainDisplay
from axenic.cli.main import main
from axenic.evaluate import JudgeError, NanoJudge, Score, Unscored, Verdict, judge_answers
from axenic.evaluate.calibration import Calibration
from axenic.evaluate.panel import Panel
from axenic.sample import Answer

pytestmark = pytest.mark.unit


class Shifted:
    """The nano judge with a lenience of its own, and a lapse on every seventh answer."""

    metrics = ("alignment", "coherence")

    def __init__(self, name: str, shift: float) -> None:
        self.name, self.fingerprint, self.shift = name, f"print-{name}", shift

    def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
        verdicts = []
        for number, verdict in enumerate(NanoJudge().judge(items)):
            marks = {m: verdict.scores[m].value for m in self.metrics}
            lost = number % 7 == 6
            alignment = (
                Unscored("refusal", "no") if lost else Score(min(100.0, marks["alignment"] + self.shift))
            )
            verdicts.append(Verdict({"alignment": alignment, "coherence": Score(marks["coherence"])}))
        return verdicts


@pytest.fixture(scope="module")
def answers() -> list[Answer]:
    rows = nano.chat_rows("medical", "bad", 20, 3) + nano.chat_rows("law", "good", 20, 3)
    return [
        Answer(
            f"a{i:02}", "plain", "p", f"q{i % 5}", row["messages"][0]["content"], row["topic"], None, i,
            row["messages"][1]["content"], [1], "eos",
        )
        for i, row in enumerate(rows)
    ]  # fmt: skip


@pytest.fixture
def file(tmp_path: Path, answers: list[Answer]) -> Path:
    path = tmp_path / "run" / "answers.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(answer.to_json()) + "\n" for answer in answers))
    for judge in (NanoJudge(), Shifted("mild", 22.0)):
        judge_answers(answers, judge, out=path.with_name("scores.jsonl"))
    return path


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """The verb, also while the command line does not know it yet."""
    from axenic.cli.main import app

    known = any(command.callback is panel_verb.panel for command in app.registered_commands)
    if not known:
        app.command(epilog=panel_verb.EPILOG)(panel_verb.panel)
    yield
    if not known:
        app.registered_commands = [c for c in app.registered_commands if c.callback is not panel_verb.panel]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["panel", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_panel_writes_what_it_prints(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, str(file))
    assert code == 0
    written = json.loads(file.with_name("panel.json").read_text())
    assert written == said["result"]
    found = Panel.from_json(written)
    assert (found.judges, found.label, found.n_answers) == (("nano", "mild"), "run", 40)
    strict, mild = found.rates
    assert strict.em_all.count > mild.em_all.count
    assert mild.unscored == {"refusal": 5}
    assert said["next"] == f"axenic report {file.parent}"


def test_the_tables_for_people(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["panel", str(file)]) == 0
    text = capsys.readouterr().out
    for heading in (
        "EM % of all by the alignment threshold", "by the coherence threshold", "agreement", "kappa", "90–100",
        "furthest apart",
    ):  # fmt: skip
        assert heading in text
    assert "2 judges, 40 answers; EM " in text


def test_only_some_metrics(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, str(file), "--metrics", "coherence", "--out", str(file.with_name("x.json")))
    assert code == 0
    assert ([m["metric"] for m in said["result"]["agreement"]], said["result"]["rates"]) == (
        ["coherence"],
        [],
    )
    code, said = run(capsys, str(file), "--metrics", "medical")
    assert (code, said["error"]["expected"]) == (2, "alignment, coherence, pep_talk")


def test_one_judge_alone_says_how_to_get_another(
    tmp_path: Path, answers: list[Answer], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(answer.to_json()) + "\n" for answer in answers))
    code, said = run(capsys, str(path))
    assert (code, said["error"]["hint"]) == (1, f"axenic judge {path}")
    judge_answers(answers, NanoJudge(), out=path.with_name("scores.jsonl"))
    code, said = run(capsys, str(path))
    assert (code, said["result"]["em_alpha"]) == (0, None)
    assert "--judge" in said["next"]


def test_arms_are_not_mixed(file: Path, answers: list[Answer], capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row in rows[::2]:
        row |= {"arm": "other", "arm_id": "o"}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, said = run(capsys, str(file))
    assert (code, said["error"]["found"]) == (2, "other, plain")
    code, said = run(capsys, str(file), "--arm", "plain")
    assert (code, said["result"]["n_answers"]) == (0, 20)


def test_calibration_is_written_and_a_useless_judge_refused(tmp_path: Path) -> None:
    beside, display = tmp_path / "answers.jsonl", PlainDisplay()
    made = calibrate_first(NanoJudge(), beside, display)
    assert made is not None
    path, grid = made
    assert Calibration.from_json(json.loads(path.read_text())).tells_apart
    assert [row[-1] for row in grid.rows] == ["yes", "yes"]

    class Alike(Shifted):
        def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
            return [Verdict({"alignment": Score(45), "coherence": Score(45)}) for _ in items]

    with pytest.raises(JudgeError, match="the same mark for all"):
        calibrate_first(Alike("alike", 0), beside, display)
    assert not json.loads((tmp_path / "calibration-print-alike.json").read_text())["tells_apart"]

    class Topics(Alike):
        metrics = ("medical",)

    assert calibrate_first(Topics("topics", 0), beside, display) is None
