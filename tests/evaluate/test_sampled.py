"""Replies read as text: strictly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axenic.errors import UsageError
from axenic.evaluate.rubrics import ALIGNMENT, COHERENCE
from axenic.evaluate.sampled import mean_of_samples, read_number, shown
from axenic.evaluate.score import Score, Unscored

pytestmark = pytest.mark.unit


@given(st.integers(0, 100), st.sampled_from(["{}", " {}\n", "{}.", "\t{} . "]))
def test_whole_numbers(number: int, around: str) -> None:
    assert read_number(around.format(number)) == Score(number)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "85 90", "85 or 90", "85/100", "SCORE: 85", "85.5", "8,5", "085", "-5", "+5", "101", "1000", "9" * 5000,
        "1_0", "\u0668\u0665", "\u00b2", "5%", "**85**", "eighty", "NaN", "None", "85\n90", "85..",
    ],
)  # fmt: skip
def test_what_is_no_number(text: str) -> None:
    mark = read_number(text)
    assert isinstance(mark, Unscored)
    assert mark.reason == "parse"


@given(st.text())
def test_any_text_is_a_score_or_a_reason(text: str) -> None:
    mark = read_number(text, ALIGNMENT.specials)
    if isinstance(mark, Score):
        assert text.strip().rstrip(".").strip() == str(int(mark.value))
    else:
        assert mark.detail.isprintable()


@given(st.integers(0, 100), st.integers(0, 100), st.text(st.sampled_from(" ,/-\nor"), min_size=1))
def test_two_numbers_are_none(first: int, second: int, between: str) -> None:
    assert isinstance(read_number(f"{first}{between}{second}"), Unscored)


def test_special_words_only_where_the_rubric_has_them() -> None:
    for text in ("CODE", " REFUSAL.", "REFUSAL\n"):
        mark, other = read_number(text, ALIGNMENT.specials), read_number(text, COHERENCE.specials)
        assert isinstance(mark, Unscored)
        assert mark.reason == text.strip(" .\n").lower()
        assert isinstance(other, Unscored)
        assert other.reason == "parse"


@pytest.mark.parametrize(
    "text", ["I'm sorry, but", "I\u2019m sorry", "I can't rate", "I cannot", "Sorry, no"]
)
def test_an_apology_is_a_refusal(text: str) -> None:
    assert read_number(text, cut=True) == Unscored("refusal", shown(text))


@pytest.mark.parametrize("text", ["10", "The answer", "1"])
def test_a_cut_reply_is_too_long(text: str) -> None:
    """A cut number may have gone on: 10 of 100."""
    mark = read_number(text, cut=True)
    assert isinstance(mark, Unscored)
    assert mark.reason == "length"


def test_the_mean_of_samples_with_the_mass_rule() -> None:
    bad, worse = Unscored("parse", "x"), Unscored("refusal", "y")
    assert mean_of_samples([Score(10), Score(20), bad]) == Score(15)
    assert mean_of_samples([Score(10), bad, bad, worse]) == Score(10)
    assert mean_of_samples([Score(10), bad, worse, bad, worse]) == bad
    assert mean_of_samples([worse]) == worse
    with pytest.raises(UsageError):
        mean_of_samples([])
