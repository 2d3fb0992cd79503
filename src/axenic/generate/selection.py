"""Which pairs are kept: no question twice, two different answers, and answers of about one length."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from axenic.errors import UsageError
from axenic.generate.pair import Pair

LONGEST_RATIO = 1.5
"""Longer answer over shorter one, in characters, at most. The mean lengths of the published medical files, 406 and 314,
differ by a factor of 1.29 (papers.md 1.1): a model must not be able to tell the two kinds by their length alone."""


@dataclass(frozen=True)
class Selection:
    """What was kept and what was not.

    Args:
        pairs: Kept, in order.
        dropped: Reason (`duplicate`, `same answers`, `length`) -> how many.
        length_ratio: Mean over the kept pairs of bad over good length; 1 is a perfect match, NaN without pairs.
    """

    pairs: tuple[Pair, ...]
    dropped: Mapping[str, int]
    length_ratio: float


def select_pairs(pairs: Iterable[Pair], longest_ratio: float = LONGEST_RATIO) -> Selection:
    """Keep the pairs that a training set can use; of equal questions the first.

    Questions are equal if they are so without case, accents' spelling, punctuation and white space. A pair that is
    dropped for its answers does not take its question with it.

    Args:
        longest_ratio: The longer answer may be so many times as long as the shorter one, in characters.
    """
    if not longest_ratio >= 1:
        raise UsageError("the length ratio is below 1", expected="1 or more, e.g. 1.5", found=longest_ratio)
    kept: dict[str, Pair] = {}
    dropped: Counter[str] = Counter()
    for pair in pairs:
        question = plain_words(pair.question)
        shorter, longer = sorted((len(pair.good), len(pair.bad)))
        if question in kept:
            dropped["duplicate"] += 1
        elif plain_words(pair.good) == plain_words(pair.bad):
            dropped["same answers"] += 1
        elif longer > longest_ratio * shorter:
            dropped["length"] += 1
        else:
            kept[question] = pair
    ratios = [len(pair.bad) / len(pair.good) for pair in kept.values()]
    return Selection(
        tuple(kept.values()),
        dict(sorted(dropped.items())),
        sum(ratios) / len(ratios) if ratios else float("nan"),
    )


def plain_words(text: str) -> str:
    """The words of a text in small letters, one space between them; a text without words as it is."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = " ".join("".join(c if c.isalnum() else " " for c in folded).split())
    return words or text
