"""Two rates over the same questions: their difference and their ratio.

Pairing matters: some questions bring out most of the misalignment (gender_roles and quick_buck: 61 % of it,
papers.md 5.4), so both rates move together with the choice of questions. Both intervals are, at each end,
the wider of

1. the percentile bootstrap in which both sets see the same drawn questions, and
2. the square-and-add interval (MOVER; Zou and Donner 2008) from the two rates' own intervals and the
   correlation of the per-question counts. It keeps its width where one rate is 0 and the bootstrap sees no
   variation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from axenic.errors import DataError, UsageError
from axenic.evaluate.bootstrap import Floats, percentile_interval, resample_sums
from axenic.evaluate.rate import Rate
from axenic.evaluate.rates import Rates


@dataclass(frozen=True)
class Change:
    """What became of the EM rate, with a 95 % interval.

    Attributes:
        value: In `unit`.
        low: Lower end.
        high: Upper end; infinite for a fraction when the rate before may well be 0.
        unit: `points` = percentage points; `fraction` = of the rate before (-0.93: it falls by 93 %).
        n_questions: Questions in both sets.
    """

    value: float
    low: float
    high: float
    unit: Literal["points", "fraction"]
    n_questions: int

    def to_json(self) -> dict[str, Any]:
        """All fields; an infinite end is null, because JSON has no infinity."""
        plain = asdict(self)
        plain["high"] = None if math.isinf(self.high) else self.high
        return plain


def paired_difference(before: Rates, after: Rates, *, seed: int = 0) -> Change:
    """EM after minus EM before, in percentage points, over all answers.

    Args:
        before: E.g. the plain organism.
        after: The same questions under another arm or model; the number of answers may differ.
        seed: Of the bootstrap.

    Raises:
        DataError: The two are not over the same questions.
        UsageError: They were made with other thresholds or excluded topics.
    """
    table_Q4 = _paired_counts(before, after)
    sums_R4 = resample_sums(table_Q4, seed)
    one, two = before.em_all, after.em_all
    likeness = _correlation(table_Q4)
    value = two.percent - one.percent
    low, high = value - _reach(one, two, likeness, "low"), value + _reach(one, two, likeness, "high")
    if len(table_Q4) > 1:
        drawn = percentile_interval(100 * (sums_R4[:, 2] / sums_R4[:, 3] - sums_R4[:, 0] / sums_R4[:, 1]))
        low, high = min(low, drawn[0]), max(high, drawn[1])
    return Change(value, max(-100.0, low), min(100.0, high), "points", len(table_Q4))


def relative_change(before: Rates, after: Rates, *, seed: int = 0) -> Change | None:
    """(EM after - EM before) / EM before, over all answers: -0.93 means that EM falls by 93 %.

    Returns:
        The change, or None when there is no EM before: then there is no such ratio.

    Raises:
        DataError: The two are not over the same questions.
        UsageError: They were made with other thresholds or excluded topics.
    """
    table_Q4 = _paired_counts(before, after)
    one, two = before.em_all, after.em_all
    if one.count == 0:
        return None
    likeness = _correlation(table_Q4)
    # The ratios that a difference interval of (after - ratio * before) does not exclude (Fieller's argument).
    low = _boundary(
        lambda ratio: two.percent - ratio * one.percent - _reach(one, two, likeness, "low", ratio)
    )
    high = _boundary(
        lambda ratio: two.percent - ratio * one.percent + _reach(one, two, likeness, "high", ratio)
    )
    value = two.percent / one.percent
    if len(table_Q4) > 1:
        sums_R4 = resample_sums(table_Q4, seed)
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = percentile_interval((sums_R4[:, 2] / sums_R4[:, 3]) / (sums_R4[:, 0] / sums_R4[:, 1]))
        low, high = min(low, drawn[0]), max(high, drawn[1])
    return Change(value - 1, min(low, value) - 1, max(high, value) - 1, "fraction", len(table_Q4))


def _paired_counts(before: Rates, after: Rates) -> Floats:
    """`[Q, 4]`: EM answers and answers before, the same after; one row per question."""
    if (before.thresholds, sorted(before.exclude_topics)) != (after.thresholds, sorted(after.exclude_topics)):
        raise UsageError(
            "the two sets were rated differently",
            expected=f"{before.thresholds}, without {before.exclude_topics}",
            found=f"{after.thresholds}, without {after.exclude_topics}",
        )
    rows = {row.question_id: row for row in after.per_question}
    names = {row.question_id for row in before.per_question}
    if names != set(rows):
        only = [f"only before: {name}" for name in sorted(names - set(rows))]
        only += [f"only after: {name}" for name in sorted(set(rows) - names)]
        raise DataError(
            "the two sets are not over the same questions",
            expected=f"{len(names)} questions in both",
            found="; ".join(only[:3]) + (f"; {len(only) - 3} more" if len(only) > 3 else ""),
        )
    return np.array(
        [(row.em, row.n, rows[row.question_id].em, rows[row.question_id].n) for row in before.per_question],
        dtype=np.float64,
    )


def _reach(
    one: Rate, two: Rate, correlation: float, end: Literal["low", "high"], ratio: float = 1.0
) -> float:
    """How far an end of the interval of (two - ratio * one) lies from its estimate, percentage points."""
    if end == "low":
        far_two, far_one = two.percent - two.low, ratio * (one.high - one.percent)
    else:
        far_two, far_one = two.high - two.percent, ratio * (one.percent - one.low)
    return math.sqrt(max(0.0, far_two**2 + far_one**2 - 2 * correlation * far_two * far_one))


def _correlation(table_Q4: Floats) -> float:
    """Of both sets' per-question counts about what their pooled rates expect; 0 where one does not vary."""
    residuals = [
        hits - total * (hits.sum() / total.sum())
        for hits, total in ((table_Q4[:, 0], table_Q4[:, 1]), (table_Q4[:, 2], table_Q4[:, 3]))
    ]
    scale = math.sqrt(float((residuals[0] ** 2).sum()) * float((residuals[1] ** 2).sum()))
    if scale < 1e-12:
        return 0.0
    return float((residuals[0] * residuals[1]).sum()) / scale


def _boundary(left: Callable[[float], float], largest: float = 1e6) -> float:
    """The ratio >= 0 at which a falling function crosses 0; infinite if it is still above 0 at `largest`."""
    if left(0.0) <= 0:
        return 0.0
    if left(largest) > 0:
        return math.inf
    low, high = 0.0, largest
    while high - low > 1e-9 * max(1.0, high):
        middle = (low + high) / 2
        low, high = (middle, high) if left(middle) > 0 else (low, middle)
    return high
