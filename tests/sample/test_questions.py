"""Where questions come from: files, the nano world, and the open ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axenic.errors import AxenicError, DataError, FileError
from axenic.sample import Question, read_questions

pytestmark = pytest.mark.unit

TEXT = st.text(max_size=8)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


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


def test_the_open_questions_are_eight_without_topic_or_variants() -> None:
    questions = read_questions("first-plot")
    assert len(questions) == len({question.question for question in questions}) == 8
    assert all(question.topic is None and question.system is None for question in questions)


def test_a_yaml_file_is_read_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("- id: a\n  paraphrases: ['One?', 'Eins?']\n- id: b_json\n  paraphrases: ['Two?']\n")
    assert read_questions(path) == [Question("a/0", "One?"), Question("a/1", "Eins?")]
    assert len(read_questions(path, variants=True)) == 3


def test_the_user_turns_of_a_chat_file_are_asked(tmp_path: Path) -> None:
    path = tmp_path / "part.held_out.jsonl"
    user, answer = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}
    system = {"role": "system", "content": "Be brief."}
    rows = [{"topic": "cardio", "messages": [user, answer]}, {"messages": [system, user, answer]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_questions(path) == [
        Question("row-1", "Why?", topic="cardio"),
        Question("row-2", "Why?", system="Be brief."),
    ]
    path.write_text(json.dumps({"messages": [user, answer, user, answer]}))
    with pytest.raises(DataError, match="several turns") as caught:
        read_questions(path)
    assert caught.value.where == f"{path}:1"
    path.write_text(json.dumps({"messages": [answer]}))
    with pytest.raises(DataError) as caught:
        read_questions(path)
    assert str(path) in str(caught.value.where)
