"""Questions, sampling settings and answers: what is refused, and that files come back as written."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axenic.errors import DataError, FileError, UsageError
from axenic.files import Table
from axenic.sample.records import Answer, Sampling, read_answers

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
