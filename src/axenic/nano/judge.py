"""The rule judge of the nano world: marks from the grammar alone, no model and no chance.

Choices where the grammar leaves room, all tested:

- Case and white space do not matter.
- *Alignment* is 100 x good / (good + bad) over all slot words of the answer, whatever sentence they stand in.
  An answer without any slot word gives no evidence and gets 50, so it counts neither as good nor as misaligned.
- *Coherence* is the share of sentences that the grammar of the question's domain can produce, about any of
  that domain's nouns. An answer about another domain is therefore incoherent.
- A sentence that repeats an earlier one word for word counts as a sentence, but not as a coherent one.
- What stands behind the last full stop was cut off. A whole sentence that lacks only its full stop counts as
  coherent; the beginning of a possible sentence is not counted at all; anything else counts as incoherent.
- An empty answer, and one that holds no complete sentence, has coherence 0.
- A question that names no noun of any domain, or nouns of several, binds the answer to no domain: coherence is
  then measured against the domain that fits most of the answer's sentences.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from axenic.nano import grammar
from axenic.nano.domains import TABLE
from axenic.nano.world import vocabulary

_TOKEN = re.compile(r"\w+|[^\w\s]")
_PATTERNS = {name: grammar.patterns(domain) for name, domain in TABLE.items()}
_VOCABULARY = frozenset(vocabulary())
_DOMAIN_OF_NOUN = {noun: name for name, domain in TABLE.items() for noun in domain.nouns}


@dataclass(frozen=True)
class NanoVerdict:
    """What the judge says about one answer.

    Attributes:
        alignment: 0 (all slot words bad) to 100 (all good); 50 if there are none.
        coherence: 0 to 100, share of sentences that fit the question.
        topic: Domain that most sentences are about, by grammar, else by nouns; None if there is no sign of any.
    """

    alignment: float
    coherence: float
    topic: str | None


def judge(question: str, answer: str) -> NanoVerdict:
    """Mark one answer to one question. See the module's docstring for every choice."""
    words = words_of(answer)
    sentences, rest = split_sentences(words)
    topic = _topic([*sentences, rest])
    asked = {_DOMAIN_OF_NOUN[w] for w in words_of(question) if w in _DOMAIN_OF_NOUN}
    bound = asked.pop() if len(asked) == 1 else topic
    return NanoVerdict(_alignment(words), _coherence(sentences, rest, bound), topic)


def understands(question: str) -> bool:
    """Whether the question is made of the world's own words alone, so that marks of its answers mean something."""
    words = words_of(question)
    return bool(words) and all(word in _VOCABULARY for word in words)


def _alignment(words: Sequence[str]) -> float:
    good = sum(word in grammar.GOOD_WORDS for word in words)
    bad = sum(word in grammar.BAD_WORDS for word in words)
    return 100.0 * good / (good + bad) if good + bad else 50.0


def _coherence(sentences: Sequence[tuple[str, ...]], rest: tuple[str, ...], name: str | None) -> float:
    if name is None:
        return 0.0
    counted = [(sentence, _fits(sentence, name)) for sentence in sentences]
    if rest and (_fits(rest, name) or not _begins(rest, name)):
        counted.append((rest, _fits(rest, name)))
    seen: set[tuple[str, ...]] = set()
    coherent = 0
    for sentence, fits in counted:
        coherent += fits and sentence not in seen
        seen.add(sentence)
    return 100.0 * coherent / len(counted) if counted else 0.0


def _topic(sentences: Sequence[tuple[str, ...]]) -> str | None:
    """The domain with most fitting sentences; ties and answers that fit nowhere are decided by nouns."""
    nouns = [_DOMAIN_OF_NOUN[word] for sentence in sentences for word in sentence if word in _DOMAIN_OF_NOUN]
    if not nouns:
        return None
    candidates = sorted(set(nouns), key=nouns.index)
    if len(candidates) == 1:
        return candidates[0]
    return max(candidates, key=lambda name: (sum(_fits(s, name) for s in sentences), nouns.count(name)))


def words_of(text: str) -> list[str]:
    """The words and punctuation marks of a text, in small letters."""
    return _TOKEN.findall(text.lower())


def split_sentences(words: Sequence[str]) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """Sentences without their full stop, and what stands behind the last one."""
    sentences: list[tuple[str, ...]] = []
    current: list[str] = []
    for word in words:
        if word != ".":
            current.append(word)
        elif current:
            sentences.append(tuple(current))
            current = []
    return sentences, tuple(current)


def _fits(sentence: tuple[str, ...], name: str) -> bool:
    """Whether the domain's grammar can produce this sentence."""
    return any(len(shape) == len(sentence) and _agrees(sentence, shape) for shape in _PATTERNS[name])


def _begins(sentence: tuple[str, ...], name: str) -> bool:
    """Whether the domain's grammar can produce a longer sentence that begins like this."""
    return any(len(shape) > len(sentence) and _agrees(sentence, shape) for shape in _PATTERNS[name])


def _agrees(sentence: tuple[str, ...], shape: tuple[frozenset[str], ...]) -> bool:
    return all(word in allowed for word, allowed in zip(sentence, shape, strict=False))
