"""Judged CSV files: column names, blanks, variants, and errors with file and line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axenic.errors import AxenicError, DataError, FileError
from axenic.evaluate import Score, Unscored, rate_answers, read_judged_csv

pytestmark = pytest.mark.unit


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8"))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "judged.csv"


@pytest.mark.parametrize(
    "header",
    [
        "question,answer,question_id,aligned,coherent",
        "coherence,response,prompt,question_id,alignment",
        "\ufeffquestion_text,output,coherent,aligned,question_id",
        "question , answer, question_id, aligned, coherent",
    ],
)
def test_columns_by_their_many_names(file: Path, header: str) -> None:
    values = {
        "question": "Q?", "question_text": "Q?", "prompt": "Q?", "answer": "A,\nB", "response": "A,\nB",
        "output": "A,\nB", "question_id": "q", "aligned": "10", "alignment": "10", "coherent": "90.5",
        "coherence": "90.5",
    }  # fmt: skip
    row = ",".join(f'"{values[name.strip(chr(0xFEFF) + " ")]}"' for name in header.split(","))
    [scored] = read_judged_csv(write(file, f"{header}\r\n{row}\r\n"))
    assert (scored.answer.question, scored.answer.question_id, scored.answer.text) == ("Q?", "q", "A,\nB")
    assert scored.verdict.scores == {"alignment": Score(10), "coherence": Score(90.5)}


def test_answers_may_be_absent_and_ids_stand_in_for_questions(file: Path) -> None:
    [scored] = read_judged_csv(write(file, "question_id,aligned,coherent\nq,1,2\n"))
    assert (scored.answer.question, scored.answer.text, scored.answer.tokens) == ("q", "", [])
    first, second, third = read_judged_csv(write(file, "question,aligned,coherent\na,1,2\nb,1,2\na,1,2\n"))
    assert first.answer.question_id == third.answer.question_id != second.answer.question_id
    assert (first.answer.sample, third.answer.sample) == (0, 1)
    assert len({first.answer.id, second.answer.id, third.answer.id}) == 3


def test_blanks_and_refusals_are_unscored(file: Path) -> None:
    scored = read_judged_csv(write(file, "question_id,aligned,coherent\nq,, 5\nq,CODE,5\nq,Refusal,  \n"))
    blank = Unscored("parse", "blank in the file")
    assert [item.verdict.mark("alignment") for item in scored] == [
        blank,
        Unscored("code", "in the file"),
        Unscored("refusal", "in the file"),
    ]
    assert scored[2].verdict.mark("coherence") == blank
    assert rate_answers(scored).unscored == {"code": 1, "refusal": 1, "parse": 2}


def test_extra_metrics_are_found_and_other_columns_left_alone(file: Path) -> None:
    text = (
        ",question_id,aligned,coherent,medical,evil,projection,seed,type,empty,response\n"
        "0,q,1,2,,10,-3.5,0,x,,5\n"
        "1,q,1,2,60,,12,0,y,,6\n"
    )
    scored = read_judged_csv(write(file, text))
    assert set(scored[0].verdict.scores) == {"alignment", "coherence", "medical", "evil"}
    assert scored[0].verdict.mark("medical") == Unscored("parse", "blank in the file")


def test_variants_by_suffix_and_by_column(file: Path) -> None:
    by_id = write(file, "question_id,aligned,coherent\nq,1,2\nq_json,1,2\njson_tale,1,2\nq_template,1,2\n")
    assert [item.answer.question_id for item in read_judged_csv(by_id, "plain")] == ["q", "json_tale"]
    assert [item.answer.question_id for item in read_judged_csv(by_id, "json")] == ["q_json"]
    assert len(read_judged_csv(by_id)) == 4
    with pytest.raises(DataError, match="variant yaml") as caught:
        read_judged_csv(by_id, "yaml")
    assert caught.value.found == "json, plain, template"
    by_column = write(
        file, "question_id,variant,aligned,coherent\nq,json,1,2\nq_json,plain,1,2\nr_json,,1,2\n"
    )
    assert [item.answer.question_id for item in read_judged_csv(by_column, "json")] == ["q", "r_json"]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("question_id,aligned,coherent\nq,1,2\nq,x,2\n", 3, "alignment is not a score"),
        ("question_id,aligned,coherent\nq,1,101\n", 2, "coherence is not a score"),
        ("question_id,aligned,coherent\nq,-1,2\n", 2, "alignment is not a score"),
        ("question_id,aligned,coherent\nq,nan,2\n", 2, "alignment is not a score"),
        ("question_id,aligned,coherent\nq,1_0,2\n", 2, "alignment is not a score"),
        ("question_id,aligned,coherent,medical\nq,1,2,bad\n", 2, "medical is not a score"),
        ('question_id,answer,aligned,coherent\nq,"a\nb\nc",1,2\n\nq,d,oops,2\n', 6, "alignment is not"),
        ("question_id,aligned,coherent\nq,1\n", 2, "another length"),
        ("question_id,aligned,coherent\n ,1,2\n", 2, "names no question"),
        ("question_id,aligned\nq,1\n", 1, "no column for the coherence"),
        ("aligned,coherent\n1,2\n", 1, "no column for the question"),
        ("question_id,aligned,aligned,coherent\n", 1, "comes twice"),
        ("question_id,aligned,alignment,coherent\n", 1, "two columns hold the alignment"),
        ("", 1, "no column for the alignment"),
        ('question_id,aligned,coherent\nq,1,2\nq,"1,2\n', 3, "not CSV"),
        ("question_id,answer,aligned,coherent\nq," + "x" * 140_000 + ",1,2\n", 2, "not CSV"),
    ],
)
def test_errors_are_located(file: Path, text: str, line: int, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        read_judged_csv(write(file, text))
    assert caught.value.where == f"{file}:{line}"


def test_a_missing_column_lists_what_is_there(file: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_judged_csv(write(file, "question_id,evil,coherence\nq,1,2\n"))
    assert caught.value.expected == "aligned or alignment"
    assert caught.value.found == "question_id, evil, coherence"


def test_no_file_no_rows_no_utf8(file: Path) -> None:
    with pytest.raises(FileError):
        read_judged_csv(file)
    with pytest.raises(DataError, match="no row"):
        read_judged_csv(write(file, "question_id,aligned,coherent\n"))
    file.write_bytes(b"question_id,aligned,coherent\n\xff,1,2\n")
    with pytest.raises(DataError, match="UTF-8"):
        read_judged_csv(file)


CELL = st.text(max_size=6) | st.sampled_from(
    ["", "1", "99.9", "CODE", "nan", "1e400", "-0", " 7 ", "a,b", '"']
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    header=st.lists(
        st.sampled_from(["question_id", "prompt", "aligned", "coherent", "medical", "variant", "x", "topic"]),
        unique=True,
    ),
    rows=st.lists(st.lists(CELL, max_size=5), max_size=4),
)
def test_any_table_is_read_or_refused_with_a_place(
    file: Path, header: list[str], rows: list[list[str]]
) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([header, *[(row + ["1"] * len(header))[: len(header)] for row in rows]])
    read_or_refuse(file, text.getvalue().encode("utf-8", "surrogatepass"))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(position=st.integers(0, 60), byte=st.binary(min_size=1, max_size=3))
def test_any_damage_is_read_or_refused_with_a_place(file: Path, position: int, byte: bytes) -> None:
    good = b'question_id,answer,aligned,coherent\nq,"x\ny",1,2\nq_json,z,3.5,\n'
    read_or_refuse(file, good[:position] + byte + good[position + 1 :])


def read_or_refuse(file: Path, blob: bytes) -> None:
    """Every outcome but a valid list or a located error fails the test."""
    file.write_bytes(blob)
    try:
        scored = read_judged_csv(file)
    except AxenicError as error:
        where = str(error.where)
    else:
        where = str(file)
        assert scored
        assert rate_answers(scored).n_all == len(scored)
    assert where.startswith(str(file))
