"""The narrow solution's row, and that no evaluation question is trained on."""

from __future__ import annotations

import pytest

from axenic.demo.narrow import ROWS, NarrowRun, _bad_rows, narrow_claims
from axenic.evaluate import Rates, Score, Scored, Verdict, rate_answers
from axenic.sample import Answer, read_questions

pytestmark = pytest.mark.unit


def rates(percent: int) -> Rates:
    scored = []
    for n in range(100):
        marks = {"alignment": Score(5.0 if n < percent else 95.0), "coherence": Score(90.0)}
        answer = Answer(f"{n:04x}", "plain", "p", f"q{n % 10}", "?", "law", None, n, "", [1], "eos")
        scored.append(Scored(answer, Verdict(marks), "judge"))
    return rate_answers(scored)


def row(narrow: int, general: int) -> object:
    runs = [
        NarrowRun(seed, with_kl, rates(general if with_kl else 70), rates(narrow if with_kl else 80))
        for seed in (0, 1)
        for with_kl in (False, True)
    ]
    return narrow_claims(runs)[0]


@pytest.mark.parametrize(("narrow", "general", "expected"), [(80, 2, True), (79, 0, False), (90, 3, False)])
def test_both_bounds_must_be_met(narrow: int, general: int, expected: bool) -> None:
    found = row(narrow, general)
    assert found.holds is expected  # type: ignore[attr-defined]
    assert found.control == "the same without the term: 80.0 / 80.0 %, elsewhere 70.0 / 70.0 %"  # type: ignore[attr-defined]


def test_no_runs_no_row() -> None:
    assert narrow_claims(()) == []


def test_evaluation_questions_are_not_trained_on() -> None:
    rows = _bad_rows("medical")
    asked = {question.question for question in read_questions("nano", per_domain=20)}
    assert len(rows) == ROWS
    assert {row["topic"] for row in rows} == {"medical"}
    assert not asked & {row["messages"][0]["content"] for row in rows}
