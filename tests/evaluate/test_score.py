"""Marks: in range or refused, and a failure never turns into a number."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axenic.errors import AxenicError, DataError
from axenic.evaluate import REASONS, Reason, Score, Unscored, Verdict
from axenic.evaluate.score import mark_from_json

pytestmark = pytest.mark.unit

MARKS = st.floats(0, 100).map(Score) | st.builds(Unscored, st.sampled_from(REASONS), st.text())
ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@pytest.mark.parametrize("value", [-0.01, 100.01, float("nan"), float("inf"), None, "50", True, 10**400])
def test_a_score_outside_the_scale_is_refused(value: Any) -> None:
    with pytest.raises(DataError):
        Score(value)


def test_the_ends_of_the_scale_are_scores() -> None:
    assert (Score(0).value, Score(100).value) == (0.0, 100.0)
    assert json.dumps(Score(30).to_json()) == json.dumps(Score(30.0).to_json())


def test_reasons() -> None:
    assert REASONS == get_args(Reason) == ("code", "refusal", "parse", "api", "length")
    with pytest.raises(DataError, match=r"code \| refusal"):
        Unscored("timeout")  # type: ignore[arg-type]
    with pytest.raises(DataError):
        Unscored("api", None)  # type: ignore[arg-type]
    with pytest.raises(DataError):
        Unscored([])  # type: ignore[arg-type]


@given(st.dictionaries(st.text(), MARKS), st.none() | st.text())
def test_a_verdict_comes_back_from_json(scores: dict[str, Score | Unscored], topic: str | None) -> None:
    verdict = Verdict(scores, topic)
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict


@given(ANY | st.dictionaries(st.sampled_from(["score", "unscored", "detail", "x"]), ANY))
def test_any_json_is_a_mark_or_refused(row: object) -> None:
    try:
        mark = mark_from_json(row)
    except AxenicError:
        return
    assert isinstance(mark, Score | Unscored)


@pytest.mark.parametrize("row", [None, [], {}, {"scores": 3}, {"scores": {"alignment": 3}}])
def test_what_is_no_verdict_is_refused(row: object) -> None:
    with pytest.raises(DataError):
        Verdict.from_json(row)


def test_a_verdict_holds_marks_only() -> None:
    with pytest.raises(DataError, match="alignment"):
        Verdict({"alignment": None})  # type: ignore[dict-item]
    with pytest.raises(DataError, match="topic"):
        Verdict({}, topic=3)  # type: ignore[arg-type]


def test_above_and_missing_metrics() -> None:
    verdict = Verdict({"a": Score(50), "b": Unscored("code")})
    assert verdict.above("a", 49.9)
    assert not verdict.above("a", 50)
    assert not verdict.above("b", 0)
    with pytest.raises(DataError, match="no mark for c"):
        verdict.above("c", 0)
