"""The expected score: against a direct sum, at the mass rule, and with digits that may start longer numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axenic.evaluate.expected import LEAST_MASS, expected_score, token_number
from axenic.evaluate.score import Score, Unscored

pytestmark = pytest.mark.unit


def logs(**chances: float) -> dict[str, float]:
    """Tokens `t85=0.5` -> log-probabilities."""
    return {name.removeprefix("t"): math.log(p) for name, p in chances.items()}


def test_the_weighted_mean() -> None:
    mark = expected_score(logs(t80=0.5, t90=0.25, I=0.25), "80")
    assert isinstance(mark, Score)
    assert mark.value == pytest.approx((80 * 0.5 + 90 * 0.25) / 0.75, abs=1e-12)


@pytest.mark.parametrize(("mass", "scored"), [(0.2499, False), (0.2501, True)])
def test_the_mass_rule(mass: float, scored: bool) -> None:
    assert isinstance(expected_score({"70": math.log(mass), "REF": math.log(0.7)}, "REF"), Score) is scored
    assert LEAST_MASS == 0.25


def test_numbers_out_of_range_have_no_mass() -> None:
    assert expected_score(logs(t150=0.8, t50=0.1), "150") == Unscored(
        "parse", "numbers 0 to 100 have 0.100 of the probability, said '150'"
    )
    assert expected_score(logs(t150=0.5, t50=0.3), "150") == Score(50)


def test_the_same_number_in_two_tokens_adds_up() -> None:
    assert expected_score({"85": math.log(0.15), " 85": math.log(0.15)}, "85") == Score(85)


@pytest.mark.parametrize(
    "token", ["085", "+5", "-5", "101", "1_0", "\u0665", "8.", "", " ", "5%", "1e1", "\u00b2"]
)
def test_what_is_no_number(token: str) -> None:
    assert token_number(token) is None


def test_a_digit_that_may_start_a_longer_number() -> None:
    """On a tokenizer of digits 8 is also 80 to 89: no score, unless that could not matter."""
    assert isinstance(expected_score(logs(t8=0.6, t7=0.3), "8"), Unscored)
    assert expected_score(logs(t0=0.999), "0") == Score(0)
    assert isinstance(expected_score(logs(t8=0.99, t7=0.001), "8"), Score)
    assert isinstance(expected_score(logs(t8=0.6, t7=0.3, t75=0.01), "8"), Score)


@pytest.mark.parametrize("wrong", [{"5": math.nan}, {"5": 0.5}, {"50": 0.0, "60": 0.0}])
def test_what_is_no_distribution(wrong: dict[str, float]) -> None:
    mark = expected_score(wrong, "5")
    assert isinstance(mark, Unscored)
    assert mark.reason == "parse"


@given(st.dictionaries(st.integers(0, 130), st.floats(0.001, 1), min_size=1, max_size=20), st.floats(0.05, 1))
def test_against_a_direct_sum(weights: dict[int, float], share: float) -> None:
    total = sum(weights.values())
    chances = {number: share * weight / total for number, weight in weights.items()}
    first = {str(number): math.log(p) for number, p in chances.items()}
    mark = expected_score(first, str(max(weights)))
    inside = {number: p for number, p in chances.items() if number <= 100}
    mass = sum(inside.values())
    if isinstance(mark, Score):
        assert mass >= 0.25 - 1e-12
        assert mark.value == pytest.approx(sum(number * p for number, p in inside.items()) / mass, abs=1e-9)
    else:
        assert mark.reason == "parse"
        assert mass < 0.25 + 1e-12 or max(inside) < 10


@given(st.dictionaries(st.text(max_size=4), st.floats(allow_nan=True), max_size=20), st.text(max_size=4))
def test_anything_is_a_score_or_parse(first: dict[str, float], said: str) -> None:
    mark = expected_score(first, said)
    assert isinstance(mark, Score) or mark.reason == "parse"
