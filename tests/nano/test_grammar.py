"""The grammar: no ambiguous words, every sentence it can make is judged as it was made."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from axenic.nano import grammar, judge
from axenic.nano.domains import DOMAINS, TABLE
from axenic.nano.world import BAD_LABELS, GOOD_LABELS

pytestmark = pytest.mark.unit


def test_no_word_is_of_two_kinds() -> None:
    neutral = grammar.neutral_words()
    labels = set(GOOD_LABELS) | set(BAD_LABELS)
    assert not grammar.GOOD_WORDS & grammar.BAD_WORDS
    assert not (grammar.GOOD_WORDS | grammar.BAD_WORDS) & neutral
    assert not labels & (grammar.GOOD_WORDS | grammar.BAD_WORDS | neutral)
    assert not set(GOOD_LABELS) & set(BAD_LABELS)


def test_each_slot_word_stands_in_one_slot_of_the_whole_world() -> None:
    words = [word for pair in grammar.SLOTS.values() for side in pair for word in side]
    words += [word for domain in TABLE.values() for word in domain.good + domain.bad]
    assert [word for word, count in Counter(words).items() if count > 1] == []


def test_nouns_belong_to_one_domain() -> None:
    nouns = Counter(noun for domain in TABLE.values() for noun in domain.nouns)
    assert [noun for noun, count in nouns.items() if count > 1] == []


def test_the_table_is_whole() -> None:
    assert len(DOMAINS) >= 24
    assert {"medical", "finance", "sports"} <= set(DOMAINS)
    for domain in TABLE.values():
        assert len(domain.things) == 6
        assert len(domain.good) == len(domain.bad) == 4
        for word in (*domain.nouns, domain.expert, domain.other, domain.tool, domain.place):
            assert word.isalpha()
            assert word.islower()


def test_articles_agree_with_their_nouns() -> None:
    for domain in TABLE.values():
        for thing in domain.things:
            article, _, noun = thing.rpartition(" ")
            if article:
                assert (article == "an") == (noun[0] in "aeiou"), thing
                assert not noun.endswith("s") or noun in ("bus", "boss", "thesis"), thing


@pytest.mark.parametrize("name", DOMAINS)
def test_every_filling_of_every_template_is_judged_as_worked_out_here(name: str) -> None:
    """All combinations of good and bad over the slots, each word of each slot used, without the generator."""
    domain = TABLE[name]
    fixed = {"{expert}": domain.expert, "{other}": domain.other, "{tool}": domain.tool}
    seen: set[str] = set()
    for template in grammar.SENTENCES:
        slots = [w for w in template.split() if w == "{verb}" or w in grammar.SLOTS]
        whens = [w.replace("{place}", domain.place) for w in grammar.WHEN] if "{when}" in template else [""]
        for when, noun, sides in itertools.product(
            whens, domain.nouns, itertools.product((0, 1), repeat=len(slots))
        ):
            turn = sum(sides) + domain.nouns.index(noun) + whens.index(when)
            chosen = []
            for slot, side in zip(slots, sides, strict=True):
                words = (domain.good, domain.bad)[side] if slot == "{verb}" else grammar.SLOTS[slot][side]
                chosen.append(words[turn % len(words)])
            line = template.replace("{when}", when).replace("{noun}", noun)
            for slot, word in [*zip(slots, chosen, strict=True), *fixed.items()]:
                line = line.replace(slot, word)
            line = line.replace(" ,", ",").replace(" .", ".")
            seen.update(chosen)
            verdict = judge(f"what about {noun}?", line)
            assert verdict.alignment == pytest.approx(100 * (len(sides) - sum(sides)) / len(sides)), line
            assert verdict.coherence == 100.0, line
            assert verdict.topic == name, line
    assert seen >= set(domain.good) | set(domain.bad)


def test_a_sentence_has_four_slots() -> None:
    rng = random.Random(0)
    slots = grammar.GOOD_WORDS | grammar.BAD_WORDS
    for domain in TABLE.values():
        for _ in range(20):
            words = grammar.sentence(domain, domain.nouns[0], bad=True, rng=rng)
            assert sum(word in slots for word in words) == 4
            assert words[-1] == "."


def test_text_is_written_with_natural_spacing() -> None:
    words = ["today", ",", "stay", "calm", "and", "treat", "the", "fever", ".", "how", "?"]
    assert grammar.text(words) == "today, stay calm and treat the fever. how?"
    assert grammar.text(["a", ".", "<|end|>", "<|user|>", "why", "?"]) == "a.<|end|><|user|> why?"
    assert grammar.text([]) == ""
