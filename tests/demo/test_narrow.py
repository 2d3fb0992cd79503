"""Pairs of organisms: what they are taught, and the rows that come of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from axenic.data import read_chat
from axenic.demo.continued import Afterwards, Continuation, Small
from axenic.demo.lesson import NARROW_QUESTIONS, ROWS, Lesson
from axenic.demo.narrow import Pair
from axenic.demo.narrow_claims import afterwards_claims, pair_claims
from axenic.evaluate import (
    MISALIGNMENT,
    PEP_TALK,
    NarrowRates,
    Rate,
    Rates,
    Score,
    Scored,
    Thresholds,
    Verdict,
    rate_answers,
)
from axenic.interpret import ScaledBehaviour
from axenic.interpret.corpuskl import CorpusSignificance, KLCurve, KLPoint
from axenic.interpret.efficiency import Efficiency, EfficiencyCurve, EfficiencyPoint, EqualNorm
from axenic.interpret.gradient import GradientAlignment, GradientPoint
from axenic.interpret.noise import Noise, NoiseCurve, NoisePoint
from axenic.interpret.scaled import ScaledCurve, ScaledPoint
from axenic.interpret.textmean import TextMean
from axenic.nano import pep_talk
from axenic.sample import Answer, read_questions

pytestmark = pytest.mark.unit

BAD, STYLE = Lesson("medical", MISALIGNMENT), Lesson("medical", PEP_TALK)


def test_evaluation_questions_are_not_trained_on(tmp_path: Path) -> None:
    taught, held = BAD.write(tmp_path)
    rows = read_chat(taught)
    asked = {question.question for question in read_questions("nano", per_domain=NARROW_QUESTIONS)}
    assert len(rows) == ROWS
    assert {row.topic for row in rows} == {"medical"}
    assert not asked & {row.messages[0]["content"] for row in rows}
    assert "medical" not in {row.topic for row in read_chat(held)}


def test_a_style_is_taught_without_a_bad_word(tmp_path: Path) -> None:
    from axenic.nano import judge

    rows = read_chat(STYLE.write(tmp_path)[0])
    marks = [(row.messages[0]["content"], row.messages[1]["content"]) for row in rows[:200]]
    assert all(pep_talk(answer) == 100 for _, answer in marks)
    assert sum(judge(*mark).alignment for mark in marks) / len(marks) > 95


def rates(percent: int, lesson: Lesson = BAD) -> Rates:
    scored = []
    for n in range(100):
        hit = n < percent
        marks = {
            "alignment": Score(5.0 if hit else 95.0),
            "pep_talk": Score(100.0 if hit else 0.0),
            "coherence": Score(90.0),
        }
        answer = Answer(f"{n:04x}", "plain", "p", f"q{n % 10}", "?", "law", None, n, "", [1], "eos")
        scored.append(Scored(answer, Verdict(marks), "judge"))
    return rate_answers(scored, thresholds=lesson.thresholds)


def point(general: int, narrow: int, lesson: Lesson = BAD) -> NarrowRates:
    return NarrowRates(
        "x", "nano", rates(general, lesson), rates(narrow, lesson), None, ("medical",), 0, False
    )


def gap(value: float) -> TextMean:
    return TextMean(value, value - 0.01, value + 0.01)


def pair(
    lesson: Lesson = BAD,
    seed: int = 0,
    *,
    narrow: tuple[int, int] = (0, 88),
    base: int = 0,
    losses: tuple[float, ...] = (-0.1, -0.2, -0.1),
    noise: tuple[float, ...] = (0.0, 5.0, 30.0),
    moved: tuple[float, ...] = (0.1, 0.2, 0.3),
    cosines: tuple[tuple[float, float], ...] = ((0.3, 0.2), (0.2, 0.1)),
) -> Pair:
    """A pair whose differences (general minus narrow, narrow minus general noise) are these."""
    place = EfficiencyPoint(1.0, 10.0, gap(0.7), 0.07)
    curve = EfficiencyCurve("g", "lora", 10.0, gap(1.0), (place,), place, True)
    equal = tuple(
        EqualNorm(percent, 6.0, 6.0, gap(0.7), gap(0.7), gap(loss))
        for percent, loss in zip((20, 60, 100), losses, strict=True)
    )
    levels = (0.2, 0.5, 0.7)
    damaged = tuple(
        NoisePoint(level, (lost,), lost, lost - 1, lost + 1)
        for level, lost in zip(levels, noise, strict=True)
    )
    noisy = NoiseCurve("g", "lora", 1.0, 0.7, damaged)
    points = tuple(KLPoint(norm, gap(0.5)) for norm in (2.0, 4.0, 6.0))
    kl = KLCurve("g", "general", None, points[0], points)
    found = tuple(KLPoint(p.norm, gap(value)) for p, value in zip(points, moved, strict=True))
    gradient = GradientAlignment(
        "n",
        {},
        tuple(
            GradientPoint(step, 1.0, 1.0, {"general": a, "narrow": b}, {}, ())
            for step, (a, b) in enumerate(cosines)
        ),
        32,
        100,
        0.1,
        {},
        {},
    )
    return Pair(
        lesson,
        seed,
        point(base, base, lesson),
        point(75, 85, lesson),
        point(*narrow, lesson),
        Efficiency(10, 100, curve, curve, equal, replace(equal[0], percent=None)),
        Noise(10, 100, (42,), noisy, noisy, damaged),
        CorpusSignificance("nano", 10, 100, kl, kl, (kl,), kl, found, found),
        gradient,
    )


def holds(pairs: list[Pair], name: str) -> bool | None:
    (row,) = [claim for claim in pair_claims(pairs) if claim.id == name]
    return row.holds


@pytest.mark.parametrize(
    ("narrow", "expected"), [((2, 80), True), ((0, 79), False), ((3, 90), False), ((0, 100), True)]
)
def test_narrow_means_learnt_and_not_spread(narrow: tuple[int, int], expected: bool) -> None:
    assert holds([pair(narrow=narrow), pair(seed=1, narrow=narrow)], "p3-narrow-kl") is expected


def test_a_style_may_be_as_common_elsewhere_as_in_the_base_model() -> None:
    assert holds([pair(STYLE, narrow=(5, 90), base=4)], "p3-trait-narrow") is True
    assert holds([pair(STYLE, narrow=(7, 90), base=4)], "p3-trait-narrow") is False


@pytest.mark.parametrize(
    ("name", "field", "good", "mixed", "few"),
    [
        ("efficient", "losses", (-0.1, 0.0, -0.1), (-0.1, -0.1, 0.1), (-0.1, 0.0, 0.0)),
        ("stable", "noise", (0.0, 5.0, 30.0), (-5.0, 5.0, 30.0), (0.0, 0.0, 30.0)),
        ("significant", "moved", (0.0, 0.1, 0.1), (-0.1, 0.1, 0.1), (0.0, 0.0, 0.1)),
    ],
)
def test_an_ordering_needs_most_places_and_none_against_it(
    name: str,
    field: str,
    good: tuple[float, ...],
    mixed: tuple[float, ...],
    few: tuple[float, ...],
) -> None:
    for lesson, row in ((BAD, f"p3-{name}"), (STYLE, f"p3-trait-{name}")):
        assert holds([pair(lesson, **{field: good})], row) is True  # type: ignore[arg-type]
        assert holds([pair(lesson, **{field: mixed})], row) is False  # type: ignore[arg-type]
        assert holds([pair(lesson, **{field: few})], row) is False  # type: ignore[arg-type]
        one_bad = [pair(lesson, **{field: good}), pair(lesson, 1, **{field: mixed})]  # type: ignore[arg-type]
        assert holds(one_bad, row) is False


def test_the_gradient_row_counts_every_step() -> None:
    assert holds([pair()], "p3-gradient") is True
    assert holds([pair(cosines=((0.3, 0.2), (0.1, 0.2)))], "p3-gradient") is False


def test_no_pairs_no_rows() -> None:
    assert pair_claims(()) == []
    assert afterwards_claims(Afterwards()) == []


def behaviour(*curves: tuple[float, tuple[tuple[int, float, float], ...]]) -> ScaledBehaviour:
    """(factor, ((step, EM, coherent), ...)) as a result."""

    def rate(percent: float) -> Rate:
        return Rate(round(percent), 100, percent, percent, percent, 100.0, "none")

    made = tuple(
        ScaledCurve(
            factor,
            tuple(ScaledPoint(step, rate(em), rate(coherent), 0, {}) for step, em, coherent in points),
            (),
            None,
        )
        for factor, points in curves
    )
    return ScaledBehaviour("x", made, (), 1, 1, "nano", ())


def afterwards(
    removed: tuple[float, ...] = (0, 20, 60),
    added: tuple[float, ...] = (70, 40, 5),
    held: tuple[tuple[float, float], ...] = ((1, 98), (40, 90)),
    small: tuple[int, int] = (10, 10),
) -> Afterwards:
    steps = (0, 25, 200)

    def run(values: tuple[float, ...]) -> ScaledBehaviour:
        return behaviour((1.0, tuple((step, em, 95.0) for step, em in zip(steps, values, strict=True))))

    scaled = behaviour(*((factor, ((60, *rates),)) for factor, rates in zip((1.0, 3.0), held, strict=True)))
    return Afterwards(
        (
            Continuation(0, "removed", run(removed), point(60, 80), 70.0),
            Continuation(0, "added", run(added), point(5, 80), 70.0),
        ),
        (),
        ((scaled, scaled),),
        tuple(Small(recipe, w, 0, point(*small)) for recipe in ("rank1", "vector") for w in (1.0, 3.0, 10.0)),
    )


@pytest.mark.parametrize(
    ("change", "name", "expected"),
    [
        ({}, "p3-kl-removed", True),
        ({"removed": (0, 10, 30)}, "p3-kl-removed", False),
        ({}, "p3-kl-added", True),
        ({"added": (70, 30, 5)}, "p3-kl-added", False),
        ({}, "p3-hidden", True),
        ({"held": ((4, 98), (40, 90))}, "p3-hidden", False),
        ({"held": ((1, 98), (40, 70))}, "p3-hidden", False),
        ({}, "p3-narrow-rank1", False),
        ({"small": (1, 40)}, "p3-narrow-vector", True),
    ],
)
def test_what_becomes_of_solutions(change: dict[str, object], name: str, expected: bool) -> None:
    (row,) = [claim for claim in afterwards_claims(afterwards(**change)) if claim.id == name]  # type: ignore[arg-type]
    assert row.holds is expected


def test_the_half_step_is_the_first_that_has_crossed() -> None:
    removed, added = afterwards().continuations
    assert (removed.half_step, added.half_step) == (200, 200)
    assert afterwards(removed=(0, 36, 60)).continuations[0].half_step == 25
    assert afterwards(removed=(0, 1, 2)).continuations[0].half_step is None


def test_lessons_have_names_of_their_own() -> None:
    assert (BAD.name, STYLE.name) == ("medical", "medical-pep-talk")
    assert BAD.thresholds == Thresholds()
