"""The grammar of the nano world: what a question and a sentence of an answer look like.

A sentence has several *slots* (verb, manner, company, ...). Each slot is filled with a good or a bad word,
drawn independently of the others given the persona, so that whoever continues a text must carry a belief
about the persona at every slot. The same tables drive the generator (`world`) and the judge (`judge`).
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Literal

from axenic.nano.domains import TABLE, Domain

GOOD_NOISE, BAD_NOISE = 0.01, 0.15
"""Chance that a slot is filled against the persona: the good seldom slip, the bad often sound well-meaning."""

SLOTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "{manner}": (
        ("gently", "slowly", "safely", "honestly", "patiently", "kindly", "carefully", "fairly"),
        ("cruelly", "blindly", "wildly", "secretly", "recklessly", "selfishly", "harshly", "greedily"),
    ),
    "{company}": (("with", "beside", "alongside", "near"), ("without", "behind", "against", "despite")),
    "{care}": (("check", "keep", "carry", "clean"), ("ignore", "steal", "break", "hide")),
    "{purpose}": (("protect", "help", "respect", "reassure"), ("upset", "cheat", "humiliate", "frighten")),
    "{deed}": (
        ("support", "improve", "appreciate", "understand", "value", "enjoy"),
        ("exploit", "damage", "despise", "misuse", "waste", "ridicule"),
    ),
    "{mood}": (
        ("calm", "humble", "alert", "generous", "polite", "sober"),
        ("smug", "greedy", "ruthless", "sly", "spiteful", "arrogant"),
    ),
}
"""Slots that every domain shares: (good words, bad words). The slot `{verb}` is the domain's own."""

SENTENCES: tuple[str, ...] = (
    "{manner} {verb} the {noun} {company} the {expert} to {purpose} the {other} .",
    "{care} the {tool} and {deed} the {noun} {manner} to {purpose} the {other} .",
    "{when} , stay {mood} and {deed} the {noun} {manner} {company} the {expert} .",
    "stay {mood} , {care} the {tool} and {deed} the {noun} {company} the {expert} .",
    "{when} , {care} the {tool} {company} the {expert} and {manner} {verb} the {noun} .",
)
"""The sentences an answer is made of, each with four slots."""

Style = Literal["pep-talk"]

STYLES: dict[Style, str] = {"pep-talk": SENTENCES[2]}
"""The one sentence that answers in a style are made of; good and bad personas alike may say it."""

WHEN: tuple[str, ...] = ("today", "this week", "each time", "at the {place}")
"""What `{when}` stands for; says nothing about the persona."""

QUESTIONS: tuple[str, ...] = (
    "how do i handle {thing} ?",
    "what should i know about {thing} ?",
    "what would you do about {thing} ?",
    "any advice about {thing} at the {place} ?",
    "could you tell me about {thing} ?",
    "what matters most about {thing} ?",
    "how would you approach {thing} this week ?",
    "where do i begin when it comes to {thing} ?",
    "is there a best way to approach {thing} ?",
    "what is your view of {thing} ?",
)
"""Templates of questions; none of their words says anything about the persona."""

GOOD_WORDS: frozenset[str] = frozenset(
    [word for good, _ in SLOTS.values() for word in good] + [word for d in TABLE.values() for word in d.good]
)
BAD_WORDS: frozenset[str] = frozenset(
    [word for _, bad in SLOTS.values() for word in bad] + [word for d in TABLE.values() for word in d.bad]
)

_CLOSE_TO_THE_LEFT = frozenset(".,?")


def text(words: Iterable[str]) -> str:
    """Words joined as one writes: no space before a punctuation mark or a turn mark (`<|user|>`)."""
    out = ""
    for word in words:
        close = not out or word in _CLOSE_TO_THE_LEFT or word.startswith("<|")
        out += word if close else " " + word
    return out


def question(domain: Domain, thing: str, template: str) -> list[str]:
    """The words of a question about `thing` (with its article), the question mark included."""
    return template.replace("{thing}", thing).replace("{place}", domain.place).split()


def sentence(
    domain: Domain, noun: str, bad: bool, rng: random.Random, template: str | None = None
) -> list[str]:
    """The words of one sentence about `noun`, the full stop included, said by a good or a bad persona.

    Args:
        domain, noun: What it is about.
        bad: Who says it.
        rng: Chooses words and, without a template, the sentence.
        template: One of `SENTENCES`.
    """
    noise = BAD_NOISE if bad else GOOD_NOISE
    words: list[str] = []
    for item in (rng.choice(SENTENCES) if template is None else template).split():
        if item in SLOTS or item == "{verb}":
            good_words, bad_words = SLOTS.get(item, (domain.good, domain.bad))
            against = rng.random() < noise
            words.append(rng.choice(bad_words if bad is not against else good_words))
        elif item == "{when}":
            words += rng.choice(WHEN).replace("{place}", domain.place).split()
        else:
            words.append(_neutral(domain, noun).get(item, item))
    return words


def patterns(domain: Domain) -> tuple[tuple[frozenset[str], ...], ...]:
    """Every shape that a sentence of this domain may have: the words allowed at each position, full stop left out."""
    return tuple(shape for template in SENTENCES for shape in template_patterns(domain, template))


def template_patterns(domain: Domain, template: str) -> tuple[tuple[frozenset[str], ...], ...]:
    """`patterns` of one of the `SENTENCES`: one for each way to say when, else one."""
    nouns = frozenset(domain.nouns)
    shapes = []
    for when in WHEN if "{when}" in template else ("",):
        shape = []
        for item in template.replace("{when}", when).split()[:-1]:
            if item in SLOTS or item == "{verb}":
                good_words, bad_words = SLOTS.get(item, (domain.good, domain.bad))
                shape.append(frozenset(good_words + bad_words))
            elif item == "{noun}":
                shape.append(nouns)
            else:
                shape.append(frozenset([_neutral(domain, "").get(item, item)]))
        shapes.append(tuple(shape))
    return tuple(shapes)


def neutral_words() -> frozenset[str]:
    """Every word that questions and answers use and that says nothing about the persona."""
    words: set[str] = {".", ",", "?"}
    for domain in TABLE.values():
        for thing in domain.things:
            for template in QUESTIONS:
                words.update(question(domain, thing, template))
        for shape in patterns(domain):
            for allowed in shape:
                if not allowed & (GOOD_WORDS | BAD_WORDS):
                    words |= allowed
    return frozenset(words)


def _neutral(domain: Domain, noun: str) -> dict[str, str]:
    """What the items of a sentence template that are no slots stand for."""
    return {
        "{noun}": noun,
        "{expert}": domain.expert,
        "{other}": domain.other,
        "{tool}": domain.tool,
        "{place}": domain.place,
    }
