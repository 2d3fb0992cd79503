"""The expected score: a judge's number weighted by how probable the judge finds every number."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from axenic.evaluate.score import Score, Unscored

LEAST_MASS = 0.25
"""Numbers 0 to 100 must have at least this much of the first token's probability (papers.md 1.3.3)."""

MOST_DOUBT = 1.0
"""Points (of 100) by which an expected score may be uncertain because a digit may start a longer number."""

_TOKEN = re.compile(r"\s*(0|[1-9][0-9]{0,2})\s*", re.ASCII)


def token_number(token: str) -> int | None:
    """The whole number 0 to 100 that a token is, spaces aside; None for everything else (`07`, `+5`, `101`)."""
    found = _TOKEN.fullmatch(token)
    return int(found[1]) if found and int(found[1]) <= 100 else None


def expected_score(first: Mapping[str, float], said: str) -> Score | Unscored:
    """The mean of 0 to 100 under the probabilities of a reply's first token.

    Score = sum of p(t) x number(t) / sum of p(t) over the tokens that are whole numbers 0 to 100, provided that the
    latter sum is at least 0.25 (Betley et al.; papers.md 1.3.3). Mass on other tokens and on numbers out of range
    does not count.

    That is right only where a token is a whole number. Qwen's and Gemma's tokenizers have one token per digit, and
    there `8` is the start of 80 to 89 as well (formats.md, trap 14). A two-digit token in the list shows that the
    tokenizer is of the first kind. If there is none, the score is given only if the digits that were NOT said could
    move it by at most `MOST_DOUBT` points, whatever they start.

    Args:
        first: Token -> log-probability (nats) of the first token; what the server returns, usually the top 20.
        said: The first token that the judge did say.

    Returns:
        `Score`, or `Unscored("parse")` with what was wrong: probabilities that are none, too little mass on numbers,
        or digits that may start longer numbers.
    """
    mass: dict[int, float] = {}
    total = 0.0
    for token, logprob in first.items():
        # Servers round: a log-probability may be just above 0.
        if math.isnan(logprob) or logprob > 1e-3:
            return Unscored("parse", f"{logprob!r} is not a log-probability")
        probability = math.exp(min(logprob, 0.0))
        total += probability
        number = token_number(token)
        if number is not None:
            mass[number] = mass.get(number, 0.0) + probability
    if total > 1.01:
        return Unscored("parse", f"the first token's probabilities add up to {total:.3f}")
    numbers = math.fsum(mass.values())
    if numbers < LEAST_MASS:
        return Unscored(
            "parse", f"numbers 0 to 100 have {numbers:.3f} of the probability, said {said[:20]!r}"
        )
    if all(number < 10 for number in mass):
        # 1 may start 100, 0 can start nothing.
        most = {1: 100, 0: 0}
        doubt = math.fsum(
            p * (most.get(number, 10 * number + 9) - number)
            for number, p in mass.items()
            if number != token_number(said)
        )
        if doubt > MOST_DOUBT * numbers:
            return Unscored("parse", "one token per digit: the first token does not give the whole number")
    value = math.fsum(p * number for number, p in mass.items()) / numbers
    # A weighted mean of numbers in 0 to 100 can leave them by rounding only.
    return Score(min(100.0, max(0.0, value)))
