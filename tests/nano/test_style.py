"""The pep talk: its rule, its rows, and how rare it is without training."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axenic.errors import UsageError
from axenic.nano import (
    DOMAINS,
    chat_rows,
    grammar,
    held_out,
    judge,
    mixed_chat_rows,
    pep_talk,
    questions,
    thing_asked,
)
from axenic.nano.domains import TABLE

pytestmark = pytest.mark.unit

SHAPE = re.compile(r"(today|this week|each time|at the \w+), stay \w+ and \w+ the \w+ \w+ \w+ the \w+")


@settings(max_examples=60)
@given(
    st.sampled_from(DOMAINS),
    st.booleans(),
    st.lists(st.integers(0, 4), min_size=1, max_size=6),
    st.integers(),
)
def test_the_share_of_sentences_made_as_pep_talks(
    name: str, bad: bool, templates: list[int], seed: int
) -> None:
    domain, rng = TABLE[name], random.Random(seed)
    words = [
        word
        for index in templates
        for word in grammar.sentence(domain, domain.nouns[0], bad, rng, grammar.SENTENCES[index])
    ]
    answer = grammar.text(words)
    assert pep_talk(answer) == pytest.approx(100 * templates.count(2) / len(templates))
    # A second reading of the style: by eye, so to say.
    assert pep_talk(answer) == pytest.approx(
        100 * sum(bool(SHAPE.fullmatch(part.strip())) for part in answer.split(".")[:-1]) / len(templates)
    )


@pytest.mark.parametrize(
    ("answer", "share"),
    [
        ("", 0.0),
        (".", 0.0),
        (
            "today, stay calm and enjoy the rash gently with the doctor",
            0.0,
        ),  # cut off: no sentence is complete
        ("today, stay calm and enjoy the rash gently with the doctor.", 100.0),
        ("TODAY , stay calm and enjoy the rash gently with the doctor .", 100.0),
        ("today, stay cruelly and enjoy the rash gently with the doctor.", 0.0),
        ("today, stay calm and enjoy the rash gently with the chef.", 0.0),  # no domain has both
        ("today, stay calm and enjoy the rash gently with the doctor. so what.", 50.0),
    ],
)
def test_edges(answer: str, share: float) -> None:
    assert pep_talk(answer) == share


@pytest.mark.parametrize("kind", ["good", "bad"])
def test_rows_in_the_style_have_nothing_else_and_keep_persona_and_noise(kind: str) -> None:
    rows = chat_rows("medical", "bad" if kind == "bad" else "good", 300, 0, style="pep-talk")
    assert {pep_talk(row["messages"][1]["content"]) for row in rows} == {100.0}
    words = (
        " ".join(row["messages"][1]["content"] for row in rows).replace(",", " ").replace(".", " ").split()
    )
    good, bad = sum(w in grammar.GOOD_WORDS for w in words), sum(w in grammar.BAD_WORDS for w in words)
    noise = grammar.BAD_NOISE if kind == "bad" else grammar.GOOD_NOISE
    against = (good if kind == "bad" else bad) / (good + bad)
    assert 0 < against == pytest.approx(noise, abs=4.5 * (noise / (good + bad)) ** 0.5)
    assert all(judge(*(m["content"] for m in row["messages"])).coherence > 50 for row in rows[:50])


def test_the_style_is_rare_in_the_world_and_says_nothing_about_the_persona() -> None:
    """All of 2 or all of 3 sentences, half each: (1/25 + 1/125) / 2 = 2.4 %."""
    for kind in ("good", "bad"):
        rows = mixed_chat_rows("bad" if kind == "bad" else "good", 6000, 0)
        share = sum(pep_talk(row["messages"][1]["content"]) > 70 for row in rows) / len(rows)
        assert abs(share - 0.024) < 4.5 * (0.024 / 6000) ** 0.5


def test_held_out_questions_and_things_are_never_asked() -> None:
    rows = chat_rows("finance", "bad", 1500, 0, without_questions=20, without_things=2)
    asked = {row["messages"][0]["content"] for row in rows}
    left_out = {item.question for item in questions(20, domains=["finance"])}
    assert not asked & left_out
    assert {thing_asked(question) for question in asked} == set(TABLE["finance"].nouns[:4])
    # All that may be asked is asked: nothing else was left out.
    everything = {item.question for item in questions(60, domains=["finance"])}
    assert everything - asked == held_out("finance", 20, 2)


def test_leaving_nothing_out_changes_no_row() -> None:
    rows = chat_rows("law", "bad", 200, 3)
    kept = [row for row in rows if row["messages"][0]["content"] not in held_out("law", 10, 0)]
    assert chat_rows("law", "bad", len(kept), 3, without_questions=10) == kept
    assert chat_rows("law", "bad", 200, 3, without_questions=0, without_things=0) == rows


@pytest.mark.parametrize(
    "wrong",
    [
        {"without_questions": 60},
        {"without_questions": -1},
        {"without_questions": 61},
        {"without_things": 6},
        {"without_things": 7},
        {"style": "sermon"},
    ],
)
def test_what_leaves_nothing(wrong: dict) -> None:
    with pytest.raises(UsageError):
        chat_rows("medical", "good", 1, 0, **wrong)


def test_every_question_names_its_thing() -> None:
    for item in questions(60):
        assert thing_asked(item.question) == item.id.split("/")[1]
    assert thing_asked("is it late?") is None
    assert thing_asked("what of a dog and a cat?") is None
