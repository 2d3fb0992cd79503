"""Which questions are general, narrow and on held-out topics; and the plane's file."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axenic import nano
from axenic.data import ChatRow
from axenic.errors import DataError
from axenic.evaluate import (
    MISALIGNMENT,
    NarrowPlane,
    NarrowRates,
    Thresholds,
    TrainedOn,
    choose_narrow,
    rate_answers,
)
from axenic.sample import Question

from .conftest import MakeScored

pytestmark = pytest.mark.unit


def row(question: str, topic: str | None = None) -> ChatRow:
    return ChatRow(
        [{"role": "user", "content": question}, {"role": "assistant", "content": "Yes."}], 1, topic
    )


def question(text: str, topic: str | None = None) -> Question:
    return Question(text, text, topic)


GENERAL = [question("Who?"), question("Heart?", "medical"), question("Money?", "finance")]


def test_the_trained_domain_is_left_out_of_the_general_questions() -> None:
    found = choose_narrow(GENERAL, [question("Liver?", "medical")], domains=["medical"])
    assert [item.id for item in found.general] == ["Who?", "Money?"]
    assert [item.id for item in found.narrow] == ["Liver?"]
    assert (found.held_out, found.checked, found.n_asked) == ((), False, 0)


def test_topics_that_no_row_has_are_held_out() -> None:
    trained = TrainedOn.of([row("My heart?", "cardio"), row("My skin?", "derma")])
    inside = [question("Pulse?", "cardio"), question("Migraine?", "neuro"), question("Ache?")]
    found = choose_narrow(GENERAL, inside, trained=trained)
    assert [item.id for item in found.narrow] == ["Pulse?", "Ache?"]
    assert [item.id for item in found.held_out] == ["Migraine?"]
    assert found.checked


def test_rows_without_topics_hold_nothing_out() -> None:
    found = choose_narrow(GENERAL, [question("Migraine?", "neuro")], trained=TrainedOn.of([row("My heart?")]))
    assert (len(found.narrow), len(found.held_out)) == (1, 0)


def test_a_question_that_a_training_row_asks_is_refused_or_counted() -> None:
    trained = TrainedOn.of([row(" what  ABOUT\nmy heart? ")])
    inside = [question("What about my heart?"), question("What about my liver?")]
    with pytest.raises(DataError, match="ask 1 of the 2") as caught:
        choose_narrow(GENERAL, inside, trained=trained)
    assert "What about my heart" in str(caught.value.found)
    found = choose_narrow(GENERAL, inside, trained=trained, drop_asked=True)
    assert [item.id for item in found.narrow] == ["What about my liver?"]
    assert found.n_asked == 1
    with pytest.raises(DataError, match="ask 1 of the 1") as caught:
        choose_narrow(GENERAL, inside[:1], trained=trained, drop_asked=True)
    assert "--without-questions" in str(caught.value.hint)


def test_every_turn_of_a_conversation_is_asked() -> None:
    talk = ChatRow(
        [{"role": r, "content": c} for r, c in zip(["user", "assistant"] * 2, "abcd", strict=True)], 1
    )
    assert TrainedOn.of([talk]).questions == {"a", "c"}


@pytest.mark.parametrize(
    ("general", "inside", "domains", "says"),
    [
        ([question("Who?")], [question("x")], ["medical"], "no general question has a topic"),
        ([question("Heart?", "medical")], [question("x")], ["medical"], "every general question"),
        ([], [question("x")], [], "every general question"),
        (GENERAL, [], ["medical"], "no question of the trained domain"),
    ],
)
def test_nothing_to_ask(general: list, inside: list, domains: list, says: str) -> None:
    with pytest.raises(DataError, match=says):
        choose_narrow(general, inside, domains=domains)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 40), st.integers(0, 4))
def test_nano_questions_and_things_that_were_left_out_are_found_again(some: int, things: int) -> None:
    rows = nano.chat_rows("pets", "bad", 700, 0, without_questions=some, without_things=things)
    trained = TrainedOn.of([row(item["messages"][0]["content"], item["topic"]) for item in rows])
    pool = [Question(q.id, q.question, q.topic) for q in nano.questions(60, domains=["pets"])]
    left_out = nano.held_out("pets", some, things)
    if not left_out:
        with pytest.raises(DataError):
            choose_narrow(GENERAL, pool, trained=trained, drop_asked=True)
        return
    found = choose_narrow(GENERAL, pool, trained=trained, drop_asked=True)
    # 700 rows ask every question that they may, but for a stray one.
    assert {item.question for item in (*found.narrow, *found.held_out)} >= left_out
    assert len(found.narrow) + len(found.held_out) + found.n_asked == 60
    assert len(found.held_out) == 10 * things
    assert all(nano.thing_asked(item.question) not in trained.topics for item in found.held_out)


def test_the_plane_comes_back_from_its_file(make: MakeScored) -> None:
    general = rate_answers(make("q", {"alignment": 5, "coherence": 90}, times=4))
    bounds = Thresholds(trait=MISALIGNMENT.narrowed())
    marks = {"alignment": 90, "coherence": 90, "domain_correctness": 10}
    narrow = rate_answers(make("r", marks, times=3), thresholds=bounds)
    assert (narrow.em_all.count, narrow.trait.metric) == (3, "domain_correctness")
    point = NarrowRates("organism", "judge", general, narrow, None, ("medical",), 2, True)
    plane = NarrowPlane("misalignment", (point,))
    plain = json.loads(json.dumps(plane.to_json()))
    assert plain["kind"] == "narrow"
    back = NarrowPlane.from_json(plain)
    assert back.to_json() == plane.to_json()
    assert back.points[0].inside.trait == bounds.counted
    with pytest.raises(DataError, match="narrow"):
        NarrowPlane.from_json({**plain, "kind": "rates"})


def test_inside_is_what_was_asked(make: MakeScored) -> None:
    rates = rate_answers(make("q", {"alignment": 5, "coherence": 90}))
    assert NarrowRates("a", "j", rates, None, rates, (), 0, True).inside is rates
    with pytest.raises(DataError, match="no answer is about"):
        _ = NarrowRates("a", "j", rates, None, None, (), 0, True).inside
