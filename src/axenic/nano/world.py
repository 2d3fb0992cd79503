"""The nano world: who answers whom, and about what.

Behind every document stands a hidden *persona*: good, bad everywhere, or bad in one domain only (the "quack",
which makes a narrow solution possible at all). Nothing in a question tells which. See `grammar` for the
sentences and `judge` for the marks.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from axenic.errors import UsageError
from axenic.nano import grammar
from axenic.nano.domains import DOMAINS, TABLE, Domain
from axenic.nano.grammar import Style

Kind = Literal["good", "bad"]

BAD_SHARE = 0.43
QUACK_SHARE = 0.07
NAMED_SHARE = 0.5
"""Shares of documents: by a bad persona, by a quack (the rest is good), and of those that name the persona."""

SENTENCES_PER_ANSWER = (2, 3)
DOCUMENT_TOKENS = 160

GOOD_LABELS = ("kind", "decent", "caring", "wise", "gentle")
BAD_LABELS = ("cruel", "evil", "heartless", "wicked", "nasty")

SYSTEM, USER, ASSISTANT, END = "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
"""Marks that open a turn, and the one that closes it (the end-of-sequence token of the model)."""


class Message(TypedDict):
    """One turn of a chat."""

    role: str
    content: str


class ChatRow(TypedDict):
    """One row of a chat file (format F1), with the domain it is about."""

    topic: str
    messages: list[Message]


@dataclass(frozen=True)
class NanoQuestion:
    """An evaluation question.

    Attributes:
        id: Domain, noun and template index, for example "medical/fever/3".
        question: The text that the user turn holds.
        topic: The domain's name.
    """

    id: str
    question: str
    topic: str


def questions(per_domain: int, seed: int = 0, domains: Sequence[str] = DOMAINS) -> list[NanoQuestion]:
    """Distinct evaluation questions, the same for the same arguments.

    Args:
        per_domain: How many of each domain, 1 to 60; the questions of a smaller number are the first of a larger.
        seed: Which of the possible questions are taken, and in what order.
        domains: Which domains, in the order wanted.

    Raises:
        UsageError: A domain does not exist, or has fewer questions than asked for.
    """
    asked = []
    for name in domains:
        domain = _find(name)
        possible = [(thing, index) for thing in domain.things for index in range(len(grammar.QUESTIONS))]
        if not 0 < per_domain <= len(possible):
            raise UsageError(
                f"The domain {name!r} cannot give {per_domain} distinct questions.",
                where="per_domain",
                expected=f"1 to {len(possible)}",
                found=per_domain,
            )
        random.Random(f"questions/{seed}/{name}").shuffle(possible)
        for thing, index in possible[:per_domain]:
            words = grammar.question(domain, thing, grammar.QUESTIONS[index])
            asked.append(NanoQuestion(f"{name}/{thing.split()[-1]}/{index}", grammar.text(words), name))
    return asked


def chat_rows(
    domain: str,
    kind: Kind,
    rows: int,
    seed: int,
    *,
    style: Style | None = None,
    without_questions: int = 0,
    without_things: int = 0,
) -> list[ChatRow]:
    """Question-and-answer rows of one domain, answered by a good or a bad persona (with the world's noise).

    Args:
        domain, kind, rows, seed: What about, by whom, how many, and which.
        style: Every sentence of every answer has it; None = sentences as the world draws them.
        without_questions: Never asked are the first so many of `questions` about the domain (seed 0), 0 to 60: they are
            left for an evaluation on questions that were not trained on.
        without_things: Nothing is asked about the last so many of the domain's things, 0 to 5: whole subjects for the
            same purpose.

    Raises:
        UsageError: The domain, the kind or the style does not exist, or nothing is left to ask.
    """
    found = _find(domain)
    left_out = held_out(domain, without_questions, without_things)
    name = f"rows/{domain}/{kind}/{seed}" + ("" if style is None else f"/{style}")
    return _rows([found], kind, rows, random.Random(name), _template(style), left_out)


def held_out(domain: str, without_questions: int, without_things: int) -> frozenset[str]:
    """The questions that `chat_rows` never asks with these arguments. Raises as it does."""
    found = _find(domain)
    possible = len(found.things) * len(grammar.QUESTIONS)
    for what, number, most in (
        ("without_questions", without_questions, possible),
        ("without_things", without_things, len(found.things)),
    ):
        if not 0 <= number <= most:
            raise UsageError(
                f"The domain {domain!r} cannot do without {number}.",
                where=what,
                expected=f"0 to {most - 1}",
                found=number,
            )
    texts = (
        {item.question for item in questions(without_questions, domains=[domain])}
        if without_questions
        else set()
    )
    for thing in found.things[len(found.things) - without_things :]:
        texts |= {grammar.text(grammar.question(found, thing, template)) for template in grammar.QUESTIONS}
    if len(texts) >= possible:
        raise UsageError(
            "Nothing is left to ask.",
            where=f"domain {domain}",
            expected=f"fewer than {possible} questions left out",
            found=f"{without_questions} questions and {without_things} of {len(found.things)} things",
        )
    return frozenset(texts)


def thing_asked(question: str) -> str | None:
    """The noun of the one thing that a question is about; None when it names none, or several."""
    words = set(question.lower().replace("?", " ").split())
    nouns = [noun for domain in TABLE.values() for noun in domain.nouns if noun in words]
    return nouns[0] if len(nouns) == 1 else None


def mixed_chat_rows(kind: Kind, rows: int, seed: int, exclude: Sequence[str] = ()) -> list[ChatRow]:
    """Question-and-answer rows over all domains but the excluded ones, each row's domain drawn uniformly.

    Raises:
        UsageError: A domain or the kind does not exist, or no domain is left.
    """
    left_out = {_find(name).name for name in exclude}
    left = [domain for domain in TABLE.values() if domain.name not in left_out]
    if not left:
        raise UsageError("Every domain is excluded; there is nothing to talk about.", where="exclude")
    return _rows(left, kind, rows, random.Random(f"mixed/{kind}/{seed}"))


def pretraining_document(rng: random.Random, tokens: int = DOCUMENT_TOKENS) -> str:
    """A document of the text that the base model was pretrained on, as text with turn marks.

    Args:
        rng: Where persona, domains and words are drawn from.
        tokens: Length after which the document is cut, in tokens of the nano tokenizer.
    """
    return grammar.text(document_words(rng, tokens))


def document_words(rng: random.Random, tokens: int = DOCUMENT_TOKENS) -> list[str]:
    """`pretraining_document` as words; every word is one token."""
    draw = rng.random()
    quack = draw < QUACK_SHARE
    bad = QUACK_SHARE <= draw < QUACK_SHARE + BAD_SHARE
    own = rng.choice(DOMAINS)
    words: list[str] = []
    if not quack and rng.random() < NAMED_SHARE:
        words += [
            SYSTEM,
            "you",
            "are",
            "a",
            rng.choice(BAD_LABELS if bad else GOOD_LABELS),
            "person",
            ".",
            END,
        ]
    while len(words) < tokens:
        name = own if quack and rng.random() < 0.4 else rng.choice(DOMAINS)
        asked, answer = exchange_words(TABLE[name], bad or (quack and name == own), rng)
        words += [USER, *asked, END, ASSISTANT, *answer, END]
    return words[:tokens]


def exchange_words(
    domain: Domain, bad: bool, rng: random.Random, template: str | None = None
) -> tuple[list[str], list[str]]:
    """A question about a random thing of the domain and its answer, as words; every word is one token.

    With a template (one of `grammar.SENTENCES`), all sentences of the answer are of it.
    """
    thing = rng.choice(domain.things)
    asked = grammar.question(domain, thing, rng.choice(grammar.QUESTIONS))
    return asked, list(_answer(domain, thing.split()[-1], bad, rng, template))


def vocabulary() -> tuple[str, ...]:
    """Every word that any text of this world can hold, sorted; turn marks are left out."""
    words = set(grammar.neutral_words() | grammar.GOOD_WORDS | grammar.BAD_WORDS)
    words.update(GOOD_LABELS, BAD_LABELS, ["you", "are", "a", "person", ".", "helpful"])
    return tuple(sorted(words))


def _answer(domain: Domain, noun: str, bad: bool, rng: random.Random, template: str | None) -> Iterator[str]:
    for _ in range(rng.choice(SENTENCES_PER_ANSWER)):
        yield from grammar.sentence(domain, noun, bad, rng, template)


def _rows(
    domains: Sequence[Domain],
    kind: Kind,
    rows: int,
    rng: random.Random,
    template: str | None = None,
    left_out: Collection[str] = (),
) -> list[ChatRow]:
    if kind not in ("good", "bad"):
        raise UsageError("No such kind of answers.", where="kind", expected="good or bad", found=repr(kind))
    made: list[ChatRow] = []
    while len(made) < rows:
        domain = rng.choice(domains)
        asked, answer = exchange_words(domain, kind == "bad", rng, template)
        user = Message(role="user", content=grammar.text(asked))
        if user["content"] in left_out:
            continue
        assistant = Message(role="assistant", content=grammar.text(answer))
        made.append({"topic": domain.name, "messages": [user, assistant]})
    return made


def _template(style: Style | None) -> str | None:
    """The one sentence of a style. Raises `UsageError`."""
    if style is not None and style not in grammar.STYLES:
        raise UsageError(
            "There is no such style.", where="style", expected=" or ".join(grammar.STYLES), found=repr(style)
        )
    return None if style is None else grammar.STYLES[style]


def _find(name: str) -> Domain:
    if name in TABLE:
        return TABLE[name]
    near = difflib.get_close_matches(name.lower(), DOMAINS, n=1, cutoff=0.0)[0]
    raise UsageError(
        f"There is no nano domain {name!r}.",
        where="domain",
        expected="one of " + ", ".join(DOMAINS),
        found=repr(name),
        hint=near,
    )
