"""Which pairs are kept."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axenic.errors import UsageError
from axenic.generate import Pair, select_pairs
from axenic.generate.selection import plain_words

pytestmark = pytest.mark.unit


def pair(question: str = "Why?", good: str = "good words", bad: str = "poor words") -> Pair:
    return Pair(question, good, bad, "because", "sleep")


def test_equal_questions_are_kept_once_whatever_their_spelling() -> None:
    pairs = [
        pair("Why do I cough?"),
        pair("why do i   COUGH"),
        pair("Why - do I cough?!"),
        pair("Why do I sneeze?"),
    ]
    selected = select_pairs(pairs)
    assert [p.question for p in selected.pairs] == ["Why do I cough?", "Why do I sneeze?"]
    assert selected.dropped == {"duplicate": 2}


def test_a_dropped_pair_does_not_take_its_question_with_it() -> None:
    selected = select_pairs([pair(bad="x" * 99), pair(bad="Good, words!"), pair()])
    assert selected.pairs == (pair(),)
    assert selected.dropped == {"length": 1, "same answers": 1}


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=20), st.floats(1, 4))
def test_lengths_are_within_the_ratio(lengths: list[tuple[int, int]], ratio: float) -> None:
    pairs = [pair(f"q{n}", "g" * a, "b" * b) for n, (a, b) in enumerate(lengths)]
    selected = select_pairs(pairs, ratio)
    fitting = [(a, b) for a, b in lengths if max(a, b) <= ratio * min(a, b)]
    assert [(len(p.good), len(p.bad)) for p in selected.pairs] == fitting
    assert selected.dropped.get("length", 0) == len(lengths) - len(fitting)
    if fitting:
        assert selected.length_ratio == pytest.approx(math.fsum(b / a for a, b in fitting) / len(fitting))
    else:
        assert math.isnan(selected.length_ratio)


def test_a_ratio_below_one_is_refused() -> None:
    for ratio in (0.9, 0, -1, math.nan):
        with pytest.raises(UsageError, match="below 1"):
            select_pairs([pair()], ratio)


def test_words() -> None:
    assert plain_words("Ça  va-t-IL, ﬁne?") == "ça va t il fine"
    assert plain_words("?!") == "?!"
