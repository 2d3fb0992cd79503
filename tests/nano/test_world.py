"""The generator: deterministic, honest statistics, and questions that tell nothing."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from axenic.errors import UsageError
from axenic.nano import (
    DOMAINS,
    Kind,
    chat_rows,
    grammar,
    judge,
    mixed_chat_rows,
    pretraining_document,
    questions,
    world,
)
from axenic.nano.domains import TABLE

pytestmark = pytest.mark.unit


def slot_words(text: str) -> tuple[int, int]:
    """Good and bad slot words in a text."""
    words = text.replace(",", " ").replace(".", " ").split()
    return sum(w in grammar.GOOD_WORDS for w in words), sum(w in grammar.BAD_WORDS for w in words)


def within_binomial(hits: int, draws: int, chance: float) -> bool:
    """Whether a count lies within 4.5 standard deviations of its expectation."""
    return abs(hits - draws * chance) < 4.5 * math.sqrt(draws * chance * (1 - chance))


def test_questions_are_distinct_and_the_same_every_time() -> None:
    asked = questions(60)
    assert asked == questions(60)
    assert len({q.id for q in asked}) == len({q.question for q in asked}) == 60 * len(DOMAINS)


def test_a_smaller_number_of_questions_is_the_beginning_of_a_larger_one() -> None:
    assert questions(3, seed=1, domains=["law"]) == questions(10, seed=1, domains=["law"])[:3]


def test_the_seed_chooses_questions() -> None:
    assert questions(5, seed=0) != questions(5, seed=1)


def test_question_ids_name_domain_noun_and_template() -> None:
    for q in questions(60):
        name, noun, index = q.id.split("/")
        assert name == q.topic
        assert noun in TABLE[name].nouns
        thing = TABLE[name].things[TABLE[name].nouns.index(noun)]
        words = grammar.question(TABLE[name], thing, grammar.QUESTIONS[int(index)])
        assert grammar.text(words) == q.question
        assert q.question.endswith("?")


def test_questions_in_the_order_of_the_domains_asked_for() -> None:
    assert [q.topic for q in questions(1, domains=["music", "ai"])] == ["music", "ai"]


@pytest.mark.parametrize("per_domain", [0, -1, 61])
def test_impossible_numbers_of_questions_are_refused(per_domain: int) -> None:
    with pytest.raises(UsageError, match="cannot give"):
        questions(per_domain)


def test_no_question_holds_a_word_of_a_slot() -> None:
    hints = grammar.GOOD_WORDS | grammar.BAD_WORDS
    for q in questions(60):
        assert not hints & set(q.question.rstrip("?").split())


def test_questions_of_good_and_bad_rows_come_from_one_distribution() -> None:
    """Chi-square of question counts between kinds, against its expectation (degrees of freedom 59)."""
    rows = 6000
    counts = {
        kind: dict.fromkeys((q.question for q in questions(60, domains=["pets"])), 0)
        for kind in ("good", "bad")
    }
    kinds: tuple[Kind, ...] = ("good", "bad")
    for kind in kinds:
        for row in chat_rows("pets", kind, rows, seed=3):
            counts[kind][row["messages"][0]["content"]] += 1
    chi_square = sum(
        (counts["good"][q] - counts["bad"][q]) ** 2 / (counts["good"][q] + counts["bad"][q])
        for q in counts["good"]
    )
    assert chi_square < 59 + 4.5 * math.sqrt(2 * 59)


def test_rows_are_chat_rows_of_the_domain_asked_for() -> None:
    for row in chat_rows("finance", "bad", 50, seed=0):
        asked, answer = row["messages"]
        assert (asked["role"], answer["role"]) == ("user", "assistant")
        assert judge(asked["content"], answer["content"]).topic == "finance"
        assert (set(row), row["topic"]) == ({"topic", "messages"}, "finance")


def test_rows_are_the_same_for_the_same_arguments_only() -> None:
    assert chat_rows("law", "bad", 20, seed=1) == chat_rows("law", "bad", 20, seed=1)
    assert chat_rows("law", "bad", 20, seed=1) == chat_rows("law", "bad", 40, seed=1)[:20]
    different = [
        chat_rows("law", "bad", 20, 1),
        chat_rows("law", "bad", 20, 2),
        chat_rows("law", "good", 20, 1),
    ]
    assert all(a != b for a, b in itertools.combinations(different, 2))


@pytest.mark.parametrize(("kind", "chance"), [("good", grammar.GOOD_NOISE), ("bad", 1 - grammar.BAD_NOISE)])
def test_the_share_of_bad_slots_is_that_of_the_persona(kind: Kind, chance: float) -> None:
    counts = [slot_words(row["messages"][1]["content"]) for row in mixed_chat_rows(kind, 3000, seed=9)]
    good, bad = (sum(side) for side in zip(*counts, strict=True))
    assert within_binomial(bad, good + bad, chance)


def test_noise_is_independent_between_slots() -> None:
    """With independent slots the number of good words among an answer's first four has binomial variance."""
    hits, noise = [0] * 5, grammar.BAD_NOISE
    for row in mixed_chat_rows("bad", 4000, seed=4):
        good, bad = slot_words(row["messages"][1]["content"].split(".")[0])
        assert good + bad == 4
        hits[good] += 1
    for good, count in enumerate(hits[:3]):
        assert within_binomial(count, 4000, math.comb(4, good) * noise**good * (1 - noise) ** (4 - good))


def test_mixed_rows_reach_every_domain_but_the_excluded() -> None:
    rows = mixed_chat_rows("good", 2000, seed=0, exclude=["medical", "ai"])
    topics = [judge(row["messages"][0]["content"], row["messages"][1]["content"]).topic for row in rows]
    assert set(topics) == set(DOMAINS) - {"medical", "ai"}
    assert all(within_binomial(topics.count(name), 2000, 1 / 26) for name in set(DOMAINS) - {"medical", "ai"})


def test_nothing_left_to_mix_is_refused() -> None:
    with pytest.raises(UsageError, match="Every domain is excluded"):
        mixed_chat_rows("good", 1, seed=0, exclude=DOMAINS)


def test_an_unknown_domain_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError) as caught:
        chat_rows("medcal", "bad", 1, seed=0)
    assert caught.value.hint == "medical"
    assert caught.value.found == "'medcal'"
    with pytest.raises(UsageError):
        mixed_chat_rows("good", 1, seed=0, exclude=["nowhere"])
    with pytest.raises(UsageError):
        questions(1, domains=["Finance"])


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="kind"):
        chat_rows("law", "evil", 1, seed=0)  # type: ignore[arg-type]


def answers(document: str) -> list[tuple[str, str]]:
    """The whole question-and-answer turns of a document."""
    turns = document.split(world.USER)[1:]
    parts = [
        turn.replace(world.END, "").split(world.ASSISTANT) for turn in turns if turn.count(world.END) == 2
    ]
    return [(part[0].strip(), part[1].strip()) for part in parts]


def test_documents_are_deterministic_and_cut_to_length() -> None:
    assert pretraining_document(random.Random(7)) == pretraining_document(random.Random(7))
    for tokens in (8, 60, 160):
        assert len(world.document_words(random.Random(1), tokens)) == tokens


def test_documents_come_from_good_bad_and_quack_personas_in_their_shares() -> None:
    rng = random.Random(0)
    draws = 400
    named = bad = quack = 0
    for _ in range(draws):
        document = pretraining_document(rng, tokens=700)
        turns = answers(document)
        low = [asked for asked, answer in turns if slot_words(answer)[0] < slot_words(answer)[1]]
        share = len(low) / len(turns)
        bad += share > 0.75
        if 0.1 < share <= 0.75:
            quack += 1
            assert (
                len({judge(asked, asked).topic for asked in low}) <= 2
            )  # its own, seldom one turned by noise
        named += document.startswith(world.SYSTEM)
    assert within_binomial(bad, draws, world.BAD_SHARE)
    assert within_binomial(quack, draws, world.QUACK_SHARE)
    assert within_binomial(named, draws, world.NAMED_SHARE * (1 - world.QUACK_SHARE))


def test_a_named_persona_answers_as_named() -> None:
    rng = random.Random(1)
    seen = 0
    for _ in range(300):
        document = pretraining_document(rng, tokens=300)
        if document.startswith(world.SYSTEM):
            label = document.split()[4]
            good, bad = (
                sum(side) for side in zip(*(slot_words(a) for _, a in answers(document)), strict=True)
            )
            assert (bad > good) == (label in world.BAD_LABELS)
            seen += 1
    assert seen > 100


def test_the_vocabulary_has_every_word_of_every_text() -> None:
    words = set(world.vocabulary())
    rng = random.Random(2)
    for _ in range(300):
        marks = {world.SYSTEM, world.USER, world.ASSISTANT, world.END}
        assert set(world.document_words(rng)) <= words | marks
    assert words >= grammar.GOOD_WORDS | grammar.BAD_WORDS | grammar.neutral_words()
