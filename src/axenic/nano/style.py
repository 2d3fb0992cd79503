"""Styles of the nano world: how something is said, whoever says it.

The *pep talk* is the one of five sentences that begins with a time or a place and a mood: "this week, stay calm and value the
stocks slowly near the banker." The shipped base model says it once in five sentences, a good persona as often as a bad
one, so it can be learnt as a habit without a word about the persona: a harmless trait.
"""

from __future__ import annotations

from axenic.nano import grammar
from axenic.nano.domains import TABLE
from axenic.nano.judge import split_sentences, words_of

_BY_LAST_WORD: dict[str, list[tuple[frozenset[str], ...]]] = {}
"""The shapes of a pep talk by the word they end with, the expert: a twentieth of them is looked at."""
for _domain in TABLE.values():
    for _shape in grammar.template_patterns(_domain, grammar.STYLES["pep-talk"]):
        _BY_LAST_WORD.setdefault(_domain.expert, []).append(_shape)


def pep_talk(answer: str) -> float:
    """Share of an answer's complete sentences that are pep talks, 0 to 100; 0 when no sentence is complete.

    A sentence is one when the grammar of some domain, not necessarily that of the question, can produce it as a pep
    talk; good and bad words count alike. What stands behind the last full stop is not counted.
    """
    sentences, _ = split_sentences(words_of(answer))
    hits = sum(_is_pep_talk(sentence) for sentence in sentences)
    return 100.0 * hits / len(sentences) if sentences else 0.0


def _is_pep_talk(sentence: tuple[str, ...]) -> bool:
    shapes = _BY_LAST_WORD.get(sentence[-1], [])
    return any(
        len(sentence) == len(shape)
        and all(word in allowed for word, allowed in zip(sentence, shape, strict=True))
        for shape in shapes
    )
