"""Questions, sampling settings and answers: what is refused, and that files come back as written."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axenic.errors import AxenicError, DataError, FileError, UsageError
from axenic.files import Table
from axenic.sample.records import Answer, Question, Sampling, read_answers, read_questions

pytestmark = pytest.mark.unit

ANSWER = Answer(
    id="a1",
    arm="plain",
    arm_id="p",
    question_id="q",
    question="What now?",
    topic=None,
    system=None,
    sample=0,
    text="Nothing.",
    tokens=[1, 2],
    stop="eos",
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def test_the_fields_of_an_answer_are_those_of_the_house_page() -> None:
    names = "id arm arm_id question_id question topic system sample text tokens stop"
    assert " ".join(ANSWER.to_json()) == names


@given(
    st.builds(
        Answer,
        id=TEXT.filter(str.strip),
        arm=TEXT,
        arm_id=TEXT,
        question_id=TEXT.filter(str.strip),
        question=TEXT,
        topic=st.none() | TEXT,
        system=st.none() | TEXT,
        sample=st.integers(0, 10**6),
        text=TEXT,
        tokens=st.lists(st.integers(0, 10**6), max_size=5),
        stop=st.sampled_from(["eos", "length"]),
    )
)
def test_an_answer_comes_back_from_json(answer: Answer) -> None:
    assert Answer.from_json(json.loads(json.dumps(answer.to_json()))) == answer


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", 3),
        ("question_id", " "),
        ("sample", -1),
        ("sample", True),
        ("sample", 1.0),
        ("tokens", (1,)),
        ("tokens", [1.5]),
        ("tokens", [-1]),
        ("tokens", [True]),
        ("stop", "stop"),
        ("text", None),
        ("text", "\ud800"),
        ("topic", 7),
    ],
)
def test_an_answer_with_a_wrong_field_is_refused(field: str, value: Any) -> None:
    with pytest.raises(DataError):
        replace(ANSWER, **{field: value})


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": "1"},
        {"temperature": True},
        {"top_p": 0},
        {"top_p": 1.01},
        {"max_new_tokens": 0},
        {"max_new_tokens": 1.5},
        {"seed": -1},
    ],
)
def test_sampling_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Sampling(**wrong)


def test_sampling_has_the_papers_defaults_and_one_spelling() -> None:
    assert asdict(Sampling()) == {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 600, "seed": 0}
    assert json.dumps(Sampling(temperature=1).to_json()) == json.dumps(Sampling().to_json())
    assert Sampling.from_json({"seed": 3}) == Sampling(seed=3)
    with pytest.raises(DataError, match="unknown topp"):
        Sampling.from_json({"topp": 1.0})


def test_answers_are_read_in_order_without_a_torn_last_line(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    answers = [replace(ANSWER, id=f"a{n}", sample=n, text="line\u2028break") for n in range(3)]
    Table(path).append([answer.to_json() for answer in answers])
    assert read_answers(path) == answers
    with path.open("ab") as handle:
        handle.write(b'{"id": "a3", "ar')
    assert read_answers(path) == answers


def test_a_bad_answer_is_located(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    Table(path).append([ANSWER.to_json(), ANSWER.to_json() | {"id": "a2", "stop": "no"}])
    with pytest.raises(DataError, match=r"answers\.jsonl:2"):
        read_answers(path)


def test_missing_and_unknown_keys_of_an_answer_are_named() -> None:
    row = ANSWER.to_json() | {"extra": 1}
    del row["stop"]
    with pytest.raises(DataError, match="no stop, unknown extra"):
        Answer.from_json(row)


def test_no_answers_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"nothing\.jsonl"):
        read_answers(tmp_path / "nothing.jsonl")


def test_questions_are_read(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": "a", "question": "One?"}\r\n\n'
        b'{"id": "b", "question": "Two?", "topic": "t", "system": "s"}'
    )
    assert read_questions(path) == [Question("a", "One?"), Question("b", "Two?", "t", "s")]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"id": "a", "question": "Again?"}', "twice"),
        ('{"id": "b", "question": "  "}', "question is empty"),
        ('{"id": "", "question": "Two?"}', "id is empty"),
        ('{"id": 3, "question": "Two?"}', "must be text"),
        ('{"question": "Two?"}', "no id"),
        ('{"id": "b", "question": "Two?", "sytem": "x"}', "unknown sytem"),
        ('["b"]', "must be a JSON object"),
        ('{"id": "b"', "not JSON"),
        ('{"id": "b", "question": "\\ud800"}', "surrogate"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_question_is_located(tmp_path: Path, line: str, what: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"id": "a", "question": "One?"}\n\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=what) as caught:
        read_questions(path)
    assert caught.value.where == f"{path}:3"


def test_a_file_without_questions_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match="no question"):
        read_questions(path)
    with pytest.raises(FileError):
        read_questions(tmp_path / "none.jsonl")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(blob=st.binary(max_size=60) | ANY_JSON.map(lambda x: json.dumps(x).encode()))
def test_any_question_file_is_read_or_refused_with_a_place(tmp_path: Path, blob: bytes) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_bytes(blob)
    try:
        questions = read_questions(path)
    except AxenicError as error:
        where = str(error.where)
    else:
        where = str(path)
        assert questions
        assert len({question.id for question in questions}) == len(questions)
    assert str(path) in where


def test_nano_questions() -> None:
    questions = read_questions("nano", per_domain=1)
    assert len(questions) == len({question.topic for question in questions})
    assert read_questions("nano", per_domain=2)[::2] == questions
    assert read_questions("nano", per_domain=1, seed=1) != questions
