"""From the probabilities of a local judge's replies to a mark."""

from __future__ import annotations

import math
from collections.abc import Sequence

from axenic.evaluate.expected import LEAST_MASS
from axenic.evaluate.rubric import Special
from axenic.evaluate.score import Score, Unscored
from axenic.evaluate.tree_reading import Masses


def mark_of_masses(masses: Masses, specials: Sequence[Special], first: str) -> Score | Unscored:
    """Score = sum p(n) n / sum p(n) over n = 0 to 100, if that mass is at least 0.25 (papers.md 1.3.3).

    The mass here is that of whole numbers, not of first tokens: `150` and `7th` have none, whatever their first digit has.

    Args:
        masses: What the reply may be.
        specials: The rubric's words, in the order of `masses.words`.
        first: The likeliest first token as text, for people.

    Returns:
        `Score`; or `Unscored`: the reason of the likeliest special word, if the words of that reason have a mass of at
        least 0.25 together, else `parse`.
    """
    mass = math.fsum(masses.numbers)
    if mass >= LEAST_MASS:
        value = math.fsum(n * p for n, p in enumerate(masses.numbers)) / mass
        # A weighted mean of numbers in 0 to 100 can leave them by rounding only.
        return Score(min(100.0, max(0.0, value)))
    detail = f"numbers 0 to 100 have {mass:.3f} of the probability"
    by_reason = {
        special.reason: math.fsum(
            p for other, p in zip(specials, masses.words, strict=True) if other.reason == special.reason
        )
        for special in specials
    }
    reason = max(by_reason, key=lambda name: by_reason[name], default=None)
    if reason is not None and by_reason[reason] >= LEAST_MASS:
        words = ", ".join(special.word for special in specials if special.reason == reason)
        return Unscored(reason, f"{detail}, {words} {by_reason[reason]:.3f}")
    return Unscored("parse", f"{detail}; the likeliest first token is {first!a} ({masses.first[1]:.3f})")
