"""Masses to marks: the mean, the mass rule, and the reason when it is not met."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axenic.evaluate.digit_mark import mark_of_masses
from axenic.evaluate.rubric import Special
from axenic.evaluate.score import Score, Unscored
from axenic.evaluate.tree_reading import Masses

pytestmark = pytest.mark.unit

SPECIALS = (
    Special("CODE", "code", "c"),
    Special("REFUSAL", "refusal", "r"),
    Special("DECLINED", "refusal", "d"),
)


def masses(words: tuple[float, ...] = (0.0, 0.0, 0.0), **numbers: float) -> Masses:
    """Numbers as `n80=0.5`."""
    own = [0.0] * 101
    for name, p in numbers.items():
        own[int(name[1:])] = p
    return Masses(tuple(own), words, (7, 0.5))


def test_the_weighted_mean() -> None:
    mark = mark_of_masses(masses(n80=0.5, n90=0.25, n3=0.0), SPECIALS, "8")
    assert mark == Score((80 * 0.5 + 90 * 0.25) / 0.75)
    assert mark_of_masses(masses(n100=1.0), SPECIALS, "100") == Score(100)


@pytest.mark.parametrize(("mass", "scored"), [(0.2499, False), (0.2501, True)])
def test_the_mass_rule(mass: float, scored: bool) -> None:
    mark = mark_of_masses(masses((1 - mass, 0, 0), n70=mass), SPECIALS, "CODE")
    assert mark == Score(70) if scored else isinstance(mark, Unscored) and mark.reason == "code"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((0.6, 0.1, 0.0), "code"),
        ((0.1, 0.6, 0.0), "refusal"),
        ((0.3, 0.2, 0.2), "refusal"),
        ((0.2, 0.1, 0.1), "parse"),
        ((0.0, 0.0, 0.0), "parse"),
    ],
)
def test_why_there_is_none(words: tuple[float, ...], reason: str) -> None:
    mark = mark_of_masses(masses(words, n5=0.1), SPECIALS, "\x1b[2J")
    assert isinstance(mark, Unscored)
    assert mark.reason == reason
    assert "0.100" in mark.detail
    assert "\x1b" not in mark.detail


def test_a_rubric_without_words() -> None:
    mark = mark_of_masses(Masses((0.0,) * 101, (), (7, 0.5)), (), "I")
    assert isinstance(mark, Unscored)
    assert mark.reason == "parse"
    assert "'I' (0.500)" in mark.detail


@given(st.lists(st.floats(0, 1), min_size=101, max_size=101))
def test_against_a_direct_sum(weights: list[float]) -> None:
    total = max(1.0, sum(weights))
    numbers = tuple(weight / total for weight in weights)
    mark = mark_of_masses(Masses(numbers, (0.0, 0.0, 0.0), (0, 0.0)), SPECIALS, "")
    if isinstance(mark, Score):
        assert sum(numbers) >= 0.25 - 1e-12
        assert mark.value == pytest.approx(sum(n * p for n, p in enumerate(numbers)) / sum(numbers), abs=1e-9)
    else:
        assert sum(numbers) < 0.25 + 1e-12
