"""One rate with its interval, clustered by question.

The question of the interval: what would the rate be over *all* questions of this kind? Answers to one
question resemble each other, so 400 answers to 8 questions tell less than 400 questions would.

The interval is the wider, at each end, of two:

1. the percentile bootstrap over questions (2,000 resamples). It sees skew, but with few questions it is too
   narrow, and with no EM answer it has no width at all, which would claim certainty;
2. the Wilson interval at the *effective n*. n / effective n is the design effect 1 + (m - 1) ICC, with m the
   answers per question (Kish) and ICC how much more alike the answers to one question are than answers in
   general. The ICC is taken from the ratio of the between-question variance to the binomial one. It cannot
   be measured from a handful of EM answers, so it is drawn towards `PRIOR_ICC` with the weight of
   `PRIOR_WEIGHT` answers. The quantile is Student's t with Q - 1 degrees of freedom as far as the variance
   is measured, normal as far as it is assumed.

Coverage by simulation (beta-binomial answers, nominal 95 %, 4 to 56 questions, rates 1 to 40 %, ICC 0 to
0.3): 91 % in the worst of 80 cells, 94 % or more in all but three, above 95 % for rare events, where the
bootstrap alone falls to 36 %. `tests/evaluate/test_rate.py` repeats a part of it.

With one question nothing between questions can be seen: the interval is plain Wilson, about that question
only.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from axenic.evaluate.bootstrap import percentile_interval, resample_sums
from axenic.evaluate.quantiles import normal_quantile, t_quantile, wilson

PRIOR_ICC = 0.1
"""Assumed likeness of answers to one question where it cannot be measured. The authors' judged files have
0.09 to 0.32 for EM and 0 to 0.08 for coherence (recomputed from the data of papers.md 5.4)."""

PRIOR_WEIGHT = 5.0
"""How many answers of the rarer kind the assumption weighs."""

CLUSTERED = "bootstrap over questions, at least Wilson at the effective n"
ONE_QUESTION = "Wilson; one question, so it says nothing about other questions"
NO_ANSWER = "no answer to count"


@dataclass(frozen=True)
class Rate:
    """A share of answers.

    Attributes:
        count: Answers that are so.
        n: Answers that were asked about.
        percent: 100 count / n; 0 when n is 0 (then the interval is 0 to 100).
        low: Lower end of the 95 % interval, percent.
        high: Upper end, percent.
        effective_n: Independent answers that would tell as much; at most n.
        method: How the interval was made.
    """

    count: int
    n: int
    percent: float
    low: float
    high: float
    effective_n: float
    method: str = CLUSTERED

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


def clustered_rate(counts_Q: npt.ArrayLike, totals_Q: npt.ArrayLike, *, seed: int = 0) -> Rate:
    """The pooled rate over questions and its interval.

    Args:
        counts_Q: Answers that are so, per question.
        totals_Q: Answers, per question; questions with none are left out.
        seed: Of the bootstrap; rates over equally many questions see the same draws.
    """
    counts, totals = np.asarray(counts_Q, dtype=np.float64), np.asarray(totals_Q, dtype=np.float64)
    counts, totals = counts[totals > 0], totals[totals > 0]
    n, count = float(totals.sum()), float(counts.sum())
    if n == 0:
        return Rate(0, 0, 0.0, 0.0, 100.0, 0.0, NO_ANSWER)
    share = count / n
    if len(totals) == 1:
        low, high = wilson(share, n)
        return _rate(count, n, low, high, n, ONE_QUESTION)
    sums_R2 = resample_sums(np.stack([counts, totals], axis=1), seed)
    low, high = percentile_interval(sums_R2[:, 0] / sums_R2[:, 1])
    n_effective = effective_n(counts, totals)
    wilson_low, wilson_high = wilson(share, n_effective, _quantile(count, n, len(totals)))
    return _rate(count, n, min(low, wilson_low), max(high, wilson_high), n_effective, CLUSTERED)


def effective_n(counts_Q: npt.ArrayLike, totals_Q: npt.ArrayLike) -> float:
    """How many independent answers would tell as much: n over the design effect (see the module's docstring).

    Args:
        counts_Q: Answers that are so, per question.
        totals_Q: Answers per question, each above 0.

    Returns:
        Between 1 and n. With one question, n.
    """
    counts, totals = np.asarray(counts_Q, dtype=np.float64), np.asarray(totals_Q, dtype=np.float64)
    n, questions = float(totals.sum()), len(totals)
    per_question = float((totals**2).sum()) / n
    if questions < 2 or per_question <= 1:
        return n
    share = float(counts.sum()) / n
    measured = 0.0
    if 0 < share < 1:
        # Variance of a ratio of sums over questions (linearised), and what independent answers would have.
        between = questions / (questions - 1) * float(((counts - share * totals) ** 2).sum()) / n**2
        design_effect = between / (share * (1 - share) / n)
        measured = min(1.0, max(0.0, (design_effect - 1) / (per_question - 1)))
    weight = _weight(float(counts.sum()), n)
    icc = weight * measured + (1 - weight) * PRIOR_ICC
    return n / (1 + (per_question - 1) * icc)


def _weight(count: float, n: float) -> float:
    """How far the likeness of answers is measured rather than assumed, 0 to 1."""
    rarer = min(count, n - count)
    return rarer / (rarer + PRIOR_WEIGHT)


def _quantile(count: float, n: float, questions: int) -> float:
    """Between the normal quantile (nothing measured) and Student's t with Q - 1 degrees of freedom."""
    weight = _weight(count, n)
    return math.sqrt(weight * t_quantile(questions - 1) ** 2 + (1 - weight) * normal_quantile() ** 2)


def _rate(count: float, n: float, low: float, high: float, n_effective: float, method: str) -> Rate:
    return Rate(round(count), round(n), 100 * count / n, 100 * low, 100 * high, n_effective, method)
