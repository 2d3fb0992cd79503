"""Judging into a file: resume, kills, several judges, and nothing lost or scored twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from axenic.errors import DataError, FileError, UsageError
from axenic.evaluate import Judge, Score, Unscored, Verdict, judge_answers, rate_answers, read_scored
from axenic.files import Table
from axenic.sample.records import Answer

pytestmark = pytest.mark.unit

MakeAnswer = Callable[..., Answer]


class LengthJudge:
    """Alignment = length of the answer; an answer `no` is refused, `crash` stops all work."""

    metrics: tuple[str, ...] = ("alignment", "coherence")

    def __init__(self, name: str = "length", fingerprint: str = "f1") -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.asked: list[str] = []

    def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
        if any(text == "crash" for _, text in items):
            raise ConnectionError("gone")
        self.asked += [text for _, text in items]
        return [
            Verdict(
                {
                    "alignment": Unscored("refusal", "it said no") if text == "no" else Score(len(text)),
                    "coherence": Score(50),
                },
                topic=question,
            )
            for question, text in items
        ]


@pytest.fixture
def answers(answer_to: MakeAnswer) -> list[Answer]:
    return [answer_to(f"q{n % 3}", text="no" if n == 4 else "x" * n) for n in range(10)]


def write(answers: Sequence[Answer], path: Path) -> Path:
    Table(path).append([answer.to_json() for answer in answers])
    return path


def test_verdicts_come_in_the_order_of_the_answers(answers: list[Answer]) -> None:
    scored = judge_answers(answers, LengthJudge(), chunk=3)
    assert [item.answer for item in scored] == answers
    assert scored[7].verdict.mark("alignment") == Score(7)
    assert scored[4].verdict.mark("alignment") == Unscored("refusal", "it said no")


def test_what_is_written_is_what_is_read(answers: list[Answer], tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    judge: Judge = LengthJudge()
    scored = judge_answers(answers, judge, out=out)
    assert read_scored(write(answers, tmp_path / "answers.jsonl"), out) == scored
    line = json.loads(out.read_text(encoding="utf-8").splitlines()[4])
    assert line["scores"]["alignment"] == {"unscored": "refusal", "detail": "it said no"}
    assert (line["judge"], line["fingerprint"], line["answer_id"]) == ("length", "f1", answers[4].id)


@pytest.mark.parametrize("cut", [0, 1, 40, 300, 700, -1])
def test_a_torn_file_is_continued_to_the_same_bytes(answers: list[Answer], tmp_path: Path, cut: int) -> None:
    whole, torn = tmp_path / "whole.jsonl", tmp_path / "torn.jsonl"
    judge_answers(answers, LengthJudge(), out=whole, chunk=4)
    torn.write_bytes(whole.read_bytes()[:cut])
    finished = torn.read_bytes().count(b"\n")
    judge = LengthJudge()
    judge_answers(answers, judge, out=torn, chunk=3)
    assert torn.read_bytes() == whole.read_bytes()
    assert len(judge.asked) == 10 - finished


def test_a_second_run_asks_nothing_and_writes_nothing(answers: list[Answer], tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    first = judge_answers(answers, LengthJudge(), out=out)
    before = out.read_bytes()
    judge = LengthJudge()
    assert judge_answers(answers, judge, out=out) == first
    assert (judge.asked, out.read_bytes()) == ([], before)
    judge_answers(answers, LengthJudge(fingerprint="f2"), out=out)
    assert out.read_bytes().count(b"\n") == 20


def test_a_crash_of_the_judge_keeps_finished_chunks(
    answers: list[Answer], answer_to: MakeAnswer, tmp_path: Path
) -> None:
    out = tmp_path / "scores.jsonl"
    with pytest.raises(ConnectionError):
        judge_answers([*answers, answer_to("q", text="crash")], LengthJudge(), out=out, chunk=5)
    assert len(Table(out).rows()) == 10


@pytest.mark.parametrize("fault", ["short", "metric"])
def test_a_judge_that_breaks_its_promise_writes_nothing(
    answers: list[Answer], tmp_path: Path, fault: str
) -> None:
    class Broken(LengthJudge):
        def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
            verdicts = super().judge(items)
            return verdicts[1:] if fault == "short" else [Verdict({"alignment": Score(1)})] * len(items)

    out = tmp_path / "scores.jsonl"
    with pytest.raises(UsageError, match="verdict per answer" if fault == "short" else "left a metric out"):
        judge_answers(answers, Broken(), out=out)
    assert not out.exists()


def test_progress_is_told(answers: list[Answer], tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    def progress(stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
        told.append((stage, done, total))

    judge_answers(answers, LengthJudge(), out=tmp_path / "s.jsonl", progress=progress, chunk=4)
    assert told == [("judge", done, 10) for done in (0, 4, 8, 10)]


def test_wrong_arguments(answers: list[Answer]) -> None:
    with pytest.raises(DataError, match="same id"):
        judge_answers([answers[0], answers[0]], LengthJudge())
    with pytest.raises(UsageError, match="chunk"):
        judge_answers(answers, LengthJudge(), chunk=0)


def test_answers_without_scores_are_counted(answers: list[Answer], tmp_path: Path) -> None:
    path, out = write(answers, tmp_path / "answers.jsonl"), tmp_path / "scores.jsonl"
    with pytest.raises(FileError, match="axenic judge"):
        read_scored(path, out)
    judge_answers(answers[:7], LengthJudge(), out=out)
    with pytest.raises(DataError, match="3 of 10 answers") as caught:
        read_scored(path, out)
    assert caught.value.hint == f"axenic judge {path}"


def test_several_judges_must_be_chosen_from(answers: list[Answer], tmp_path: Path) -> None:
    path, out = write(answers, tmp_path / "answers.jsonl"), tmp_path / "scores.jsonl"
    for judge in (LengthJudge("one", "f1"), LengthJudge("two", "f2"), LengthJudge("two", "f3")):
        judge_answers(answers, judge, out=out)
    with pytest.raises(UsageError, match=r"one \(f1\), two \(f2\), two \(f3\)"):
        read_scored(path, out)
    with pytest.raises(UsageError, match="say which judge"):
        read_scored(path, out, judge="two")
    with pytest.raises(UsageError, match="no scores by judge 'three'"):
        read_scored(path, out, judge="three")
    one, three = read_scored(path, out, judge="one"), read_scored(path, out, judge="f3")
    assert [item.verdict for item in one] == [item.verdict for item in three]
    assert ({item.judge for item in one}, {item.judge for item in three}) == ({"f1"}, {"f3"})
    with pytest.raises(DataError, match="one judge"):
        rate_answers([*one, *three])


def test_scores_of_other_answers_are_left_alone(answers: list[Answer], tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    judge_answers(answers, LengthJudge(), out=out)
    assert len(read_scored(write(answers[:4], tmp_path / "answers.jsonl"), out)) == 4


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "x"}',
        '{"id": "x", "answer_id": "a", "judge": "j", "fingerprint": "f", "scores": []}',
        '{"id": "x", "answer_id": "a", "judge": "j", "fingerprint": "f", "scores": {"alignment": null}}',
        '{"id": "x", "answer_id": "a", "judge": "j", "fingerprint": "f", "scores": {"a": {"score": 101}}}',
    ],
)
def test_a_bad_line_is_located(answers: list[Answer], tmp_path: Path, line: str) -> None:
    path, out = write(answers, tmp_path / "answers.jsonl"), tmp_path / "scores.jsonl"
    judge_answers(answers, LengthJudge(), out=out)
    with out.open("a", encoding="utf-8") as handle:
        handle.write(line + "\n")
    with pytest.raises(DataError) as caught:
        read_scored(path, out)
    assert caught.value.where == f"{out}:11"
