"""The nano world: who answers whom, and about what.

Behind every document stands a hidden *persona*: good, bad everywhere, or bad in one domain only (the "quack",
which makes a narrow solution possible at all). Nothing in a question tells which. See `grammar` for the
sentences and `judge` for the marks.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from axenic.errors import UsageError
from axenic.nano import grammar
from axenic.nano.domains import DOMAINS, TABLE, Domain

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


def chat_rows(domain: str, kind: Kind, rows: int, seed: int) -> list[ChatRow]:
    """Question-and-answer rows of one domain, answered by a good or a bad persona (with the world's noise).

    Raises:
        UsageError: The domain or the kind does not exist.
    """
    return _rows([_find(domain)], kind, rows, random.Random(f"rows/{domain}/{kind}/{seed}"))


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


def exchange_words(domain: Domain, bad: bool, rng: random.Random) -> tuple[list[str], list[str]]:
    """A question about a random thing of the domain and its answer, as words; every word is one token."""
    thing = rng.choice(domain.things)
    asked = grammar.question(domain, thing, rng.choice(grammar.QUESTIONS))
    return asked, list(_answer(domain, thing.split()[-1], bad, rng))


def vocabulary() -> tuple[str, ...]:
    """Every word that any text of this world can hold, sorted; turn marks are left out."""
    words = set(grammar.neutral_words() | grammar.GOOD_WORDS | grammar.BAD_WORDS)
    words.update(GOOD_LABELS, BAD_LABELS, ["you", "are", "a", "person", ".", "helpful"])
    return tuple(sorted(words))


def _answer(domain: Domain, noun: str, bad: bool, rng: random.Random) -> Iterator[str]:
    for _ in range(rng.choice(SENTENCES_PER_ANSWER)):
        yield from grammar.sentence(domain, noun, bad, rng)


def _rows(domains: Sequence[Domain], kind: Kind, rows: int, rng: random.Random) -> list[ChatRow]:
    if kind not in ("good", "bad"):
        raise UsageError("No such kind of answers.", where="kind", expected="good or bad", found=repr(kind))
    made: list[ChatRow] = []
    for _ in range(rows):
        domain = rng.choice(domains)
        asked, answer = exchange_words(domain, kind == "bad", rng)
        user = Message(role="user", content=grammar.text(asked))
        assistant = Message(role="assistant", content=grammar.text(answer))
        made.append({"topic": domain.name, "messages": [user, assistant]})
    return made


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
