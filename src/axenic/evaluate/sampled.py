"""A judge's reply read as text: one whole number from 0 to 100, a special word, or why it is neither."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from axenic.errors import UsageError
from axenic.evaluate.expected import LEAST_MASS
from axenic.evaluate.rubric import Special
from axenic.evaluate.score import Score, Unscored

_NUMBER = re.compile(r"\s*(0|[1-9][0-9]{0,2})\s*\.?\s*", re.ASCII)
_REFUSES = re.compile(
    r"\s*(i'?m sorry|i am sorry|sorry|i can(no|')?t|i am unable|i'm unable|i won't)\b", re.I
)


def read_number(text: str, specials: Sequence[Special] = (), cut: bool = False) -> Score | Unscored:
    """Read a reply that must be one whole number, strictly.

    `85` and ` 85. ` are numbers. `85 or 90`, `SCORE: 85`, `85/100`, `85.5`, `085`, `-5`, `150` are not: a reply that
    does not keep to its one rule may not mean what a lenient reader would make of it.

    Args:
        text: The judge's reply.
        specials: Words that stand for a reason.
        cut: The reply ended because it reached its allowed length.

    Returns:
        `Score`; or `Unscored`: the special word's reason, `refusal` (an apology in place of a number), `length`
        (cut off without being a number), or `parse`.
    """
    word = text.strip().rstrip(".").strip()
    for special in specials:
        if word == special.word:
            return Unscored(special.reason, f"the judge said {special.word}")
    if _REFUSES.match(text.replace("\u2019", "'")):
        return Unscored("refusal", shown(text))
    found = _NUMBER.fullmatch(text)
    if found is None:
        return Unscored("length" if cut else "parse", shown(text))
    value = int(found[1])
    # A cut number may have gone on: `10` of `100`.
    if cut:
        return Unscored("length", shown(text))
    if value > 100:
        return Unscored("parse", f"out of range: {shown(text)}")
    return Score(value)


def mean_of_samples(marks: Sequence[Score | Unscored]) -> Score | Unscored:
    """One mark from several samples of one reply.

    The mean of those that are numbers, if they are at least a quarter of all (the mass rule of papers.md 1.3.3 with
    frequencies for probabilities). Otherwise the commonest reason; of equally common ones the first seen.

    Raises:
        UsageError: There is no sample.
    """
    if not marks:
        raise UsageError("a mark needs at least one sample", expected="1 or more", found=0)
    values = [mark.value for mark in marks if isinstance(mark, Score)]
    if values and len(values) >= LEAST_MASS * len(marks):
        return Score(sum(values) / len(values))
    failed = [mark for mark in marks if isinstance(mark, Unscored)]
    reason = Counter(mark.reason for mark in failed).most_common(1)[0][0]
    return next(mark for mark in failed if mark.reason == reason)


def shown(text: str, length: int = 80) -> str:
    """The start of a text as one printable line, for people."""
    quoted = ascii(text[: length + 1])
    return quoted if len(text) <= length else quoted[:length] + "..."
