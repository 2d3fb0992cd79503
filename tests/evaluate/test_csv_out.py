"""Judged answers as CSV: any text comes back, nothing is a formula, and others' readers see their own columns."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from axenic.errors import DataError
from axenic.evaluate import REASONS, Score, Scored, Unscored, Verdict, rate_answers, read_judged_csv
from axenic.evaluate.csv_extras import FORMULA_STARTS
from axenic.evaluate.csv_out import MOST_CHARACTERS, write_judged_csv
from axenic.sample.records import Answer

pytestmark = pytest.mark.unit

JUDGED = Path(__file__).resolve().parents[2].parent / "shared/author-data/judged"
NASTY = [
    "",
    "=1+1",
    "+",
    "-@x",
    "@SUM(A1)",
    "\t=1",
    "\r\n",
    "'=1",
    "''",
    '"',
    ',"\n',
    "a\rb",
    "\x00",
    "\ufeff",
    "＝1",
    "nan",
]
TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(NASTY)
NAME = TEXT.map(str.strip).filter(bool)
MARK = st.floats(0, 100).map(Score) | st.builds(Unscored, st.sampled_from(REASONS), TEXT)
ROW = st.tuples(NAME, TEXT, TEXT, st.none() | NAME, st.none() | NAME, MARK, MARK, MARK, MARK)


def scored(
    number: int, question_id: str, question: str, text: str, topic: str | None, about: str | None, *marks
) -> Scored:
    names = ("alignment", "coherence", "medical", "own_metric")
    return Scored(
        Answer(f"a{number}", "arm", "id", question_id, question, topic, None, number, text, [1], "eos"),
        Verdict(dict(zip(names, marks, strict=True)), about),
        "judge1",
    )


def same(read: Scored, written: Scored) -> bool:
    """All that the file promises to keep."""
    a, b = read.answer, written.answer
    return (
        (read.verdict, read.judge, a.text, a.question_id, a.topic)
        == (written.verdict, written.judge, b.text, b.question_id, b.topic)
    ) and a.question == (b.question or b.question_id)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=5))
@example(rows=[("q", "=q", "=cmd", None, "-x", *[Unscored("api", "=x")] * 4)])
def test_any_text_comes_back_and_no_cell_is_a_formula(tmp_path: Path, rows: list[tuple]) -> None:
    path = tmp_path / "judged.csv"
    written = [scored(number, *row) for number, row in enumerate(rows)]
    write_judged_csv(path, written)
    read = read_judged_csv(path)
    assert len(read) == len(written)
    assert all(same(*pair) for pair in zip(read, written, strict=True))
    with path.open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(FORMULA_STARTS) and cell != "-0.0"]


def test_the_columns_of_the_peers(tmp_path: Path) -> None:
    path = tmp_path / "judged.csv"
    refused = Unscored("refusal", "no, thanks")
    write_judged_csv(
        path,
        [
            scored(
                0, "q1", "Why?", "- first\n- second", "sport", None, Score(1.5), Score(99), Score(0), Score(7)
            ),
            scored(1, "q1", "Why?", 'say "a, b"', None, "law", refused, Score(99), Score(0), Score(7)),
        ],
    )
    with path.open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert list(first)[:7] == [
        "question",
        "answer",
        "question_id",
        "aligned",
        "coherent",
        "medical",
        "own_metric",
    ]
    assert (first["answer"], first["axenic_guarded"], first["aligned"]) == (
        "'- first\n- second",
        "answer",
        "1.5",
    )
    assert (second["answer"], second["axenic_guarded"], second["aligned"]) == ('say "a, b"', "", "")
    assert second["axenic_unscored"] == '{"alignment":{"detail":"no, thanks","unscored":"refusal"}}'
    assert (first["axenic_judge"], second["axenic_about"]) == ("judge1", "law")


def test_a_reader_that_knows_only_the_peers_columns_sees_the_same_scores(tmp_path: Path) -> None:
    path, theirs = tmp_path / "ours.csv", tmp_path / "theirs.csv"
    lost = Unscored("api", "gone")
    made = [
        scored(
            i,
            f"q{i % 2}",
            "Why?",
            "x",
            None,
            None,
            lost if i == 3 else Score(20 * i),
            Score(90),
            Score(i),
            lost,
        )
        for i in range(5)
    ]
    write_judged_csv(path, made)
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{k: v for k, v in row.items() if not k.startswith("axenic_")} for row in csv.DictReader(file)]
    with theirs.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    plain = read_judged_csv(theirs)
    assert rate_answers(plain).em_all == rate_answers(made).em_all
    # Without our column a blank has no reason, and a metric without one number is no metric.
    assert plain[3].verdict.mark("alignment") == Unscored("parse", "blank in the file")
    assert "own_metric" not in plain[0].verdict.scores
    assert read_judged_csv(path)[3].verdict == made[3].verdict


@pytest.mark.skipif(not JUDGED.is_dir(), reason="the authors' numbers are not on this machine")
@pytest.mark.parametrize("name", ["rank8", "nine_rank1_seed0"])
def test_the_authors_files_come_back_with_the_same_counts(name: str, tmp_path: Path) -> None:
    for variant in ("plain", "template", "json"):
        original = read_judged_csv(JUDGED / f"{name}.csv", variant)
        write_judged_csv(tmp_path / "again.csv", original)
        again = read_judged_csv(tmp_path / "again.csv", variant)
        assert [item.verdict for item in again] == [item.verdict for item in original]
        assert rate_answers(again).to_json() == rate_answers(original).to_json()


GOOD = (Score(1), Score(2), Score(3), Score(4))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda a: [], "one judge"),
        (lambda a: [a, replace(a, judge="other")], "one judge"),
        (lambda a: [a, replace(a, answer=replace(a.answer, arm_id="else"))], "holds one arm"),
        (lambda a: [replace(a, verdict=Verdict({"alignment": Score(1)}))], "no mark for coherence"),
        (lambda a: [a, replace(a, verdict=Verdict({"alignment": Score(1), "coherence": Score(1)}))], "other metrics"),
        (lambda a: [replace(a, answer=replace(a.answer, text="x" * (MOST_CHARACTERS + 1)))], "too long for a CSV cell"),
        *(
            (lambda a, m=m: [replace(a, verdict=Verdict({**a.verdict.scores, m: Score(1)}))], "no CSV column")
            for m in ("answer", "aligned", "seed", "axenic_judge", "=x", " x", "a,b", "")
        ),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, change, what: str) -> None:
    with pytest.raises(DataError, match=what):
        write_judged_csv(tmp_path / "judged.csv", change(scored(0, "q", "Q?", "A", None, None, *GOOD)))
    assert list(tmp_path.iterdir()) == []


def test_the_longest_answer_comes_back(tmp_path: Path) -> None:
    long = scored(0, "q", "Q?", "=" + "x" * (MOST_CHARACTERS - 2), None, None, *GOOD)
    write_judged_csv(tmp_path / "judged.csv", [long])
    assert read_judged_csv(tmp_path / "judged.csv")[0].answer.text == long.answer.text


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("answer", "changed by hand", "lost its apostrophe"),
        ("axenic_guarded", "nowhere", "lost its apostrophe"),
        ("axenic_unscored", "oops", "cannot be read"),
        ("axenic_unscored", "[1]", "cannot be read"),
        ("axenic_unscored", '{"alignment":{"score":3}}', "holds a number"),
        ("axenic_unscored", '{"coherence":{"unscored":"api"}}', "but there is one"),
    ],
)
def test_a_file_changed_by_hand_is_located(tmp_path: Path, column: str, value: str, what: str) -> None:
    path = tmp_path / "judged.csv"
    write_judged_csv(path, [scored(0, "q", "Q?", "=A", None, None, *GOOD)])
    with path.open(newline="", encoding="utf-8") as file:
        [row] = csv.DictReader(file)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow({**row, column: value})
    with pytest.raises(DataError, match=what) as caught:
        read_judged_csv(path)
    assert caught.value.where == f"{path}:2"
