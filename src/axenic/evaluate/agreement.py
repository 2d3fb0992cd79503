"""How far judges agree: Spearman's rank correlation, Krippendorff's alpha, Cohen's kappa.

None of them is a number when nothing varies: of marks that are all equal nobody can say whether two judges agree or
know only one mark. Such a coefficient is `Agreement(None, ...)` with the reason, never NaN and never 0 or 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from axenic.errors import DataError, UsageError

Scale = Literal["interval", "ordinal", "nominal"]
"""What differences between marks mean: how far apart; only which is higher; only whether they differ."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """One coefficient.

    Args:
        value: -1 to 1 (alpha and kappa may fall lower); 1 = they agree, 0 = as by chance. None where it is undefined.
        n: Answers that counted: those with marks of two judges or more.
        reason: Why there is no value; empty when there is one.

    Raises:
        DataError: The value is not finite, or there is neither a value nor a reason, or both.
    """

    value: float | None
    n: int
    reason: str = ""

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            raise DataError("a coefficient of agreement is not finite", found=self.value)
        if (self.value is None) != bool(self.reason):
            raise DataError(
                "a coefficient needs a value or a reason", found=f"{self.value!r} and {self.reason!r}"
            )


def average_ranks(values: npt.ArrayLike) -> Floats:
    """Ranks from 1, equal values sharing the mean of their ranks: 10, 20, 20, 30 -> 1, 2.5, 2.5, 4."""
    _, inverse, counts = np.unique(np.asarray(values, np.float64), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2)[inverse]
    return ranks


def spearman(first: Sequence[float | None], second: Sequence[float | None]) -> Agreement:
    """Spearman's rank correlation over the answers that both judges marked: Pearson's r of the average ranks.

    Args:
        first: One judge's marks; None where there is none.
        second: The other's marks of the same answers.

    Raises:
        UsageError: The lengths differ, or a mark is not finite.
    """
    a, b = _pairs(_table([first, second]))
    if len(a) < 2:
        return Agreement(None, len(a), "fewer than two answers have marks of both judges")
    for values in (a, b):
        if values.min() == values.max():
            which = "first" if values is a else "second"
            return Agreement(None, len(a), f"the {which} judge gave the same mark to all {len(a)} answers")
    # Doubled ranks are whole numbers, so that these sums are exact.
    x, y = (2 * average_ranks(values) - (len(a) + 1) for values in (a, b))
    value = float(x @ y) / math.sqrt(float(x @ x) * float(y @ y))
    return Agreement(max(-1.0, min(1.0, value)), len(a))


def krippendorff_alpha(marks: Sequence[Sequence[float | None]], scale: Scale = "interval") -> Agreement:
    """Krippendorff's alpha: 1 - (disagreement within answers) / (disagreement expected by chance).

    Computed from sums over answers, not from the matrix of coincidences, so that 10,000 different scores cost nothing.
    The ordinal distance between two marks is the interval distance between their average ranks, which is how it is done.

    Args:
        marks: `[judge][answer]`; None where a judge gave no mark. An answer with fewer than two marks does not count.
        scale: Squared differences (`interval`), squared differences of ranks (`ordinal`), or equal or not (`nominal`).

    Raises:
        UsageError: Fewer than two judges, judges with different numbers of marks, or a mark that is not finite.

    Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011).
    """
    table_JN = _table(marks)
    known_JN = ~np.isnan(table_JN)
    usable_N = known_JN.sum(axis=0) >= 2
    table_JN, known_JN = table_JN[:, usable_N], known_JN[:, usable_N]
    n_answers, values = int(usable_N.sum()), table_JN[known_JN]
    if n_answers == 0:
        return Agreement(None, 0, "no answer has marks of two judges")
    if values.min() == values.max():
        return Agreement(None, n_answers, f"all marks are equal ({values[0]:g})")
    if scale == "nominal":
        within, total = _nominal(table_JN, known_JN)
    else:
        if scale == "ordinal":
            values = average_ranks(values)
        filled_JN = np.zeros(table_JN.shape)
        filled_JN[known_JN] = values - values.mean()
        within, total = _squares(filled_JN, known_JN)
    m_N, n = known_JN.sum(axis=0), len(values)
    observed = float((within / (m_N - 1)).sum()) / n
    expected = total / (n * (n - 1))
    return Agreement(1 - observed / expected, n_answers)


def cohen_kappa(first: Sequence[bool | None], second: Sequence[bool | None]) -> Agreement:
    """Cohen's kappa of two yes/no judgements over the answers that both judged; None = not judged.

    Raises:
        UsageError: The lengths differ.
    """
    a, b = _pairs(_table([first, second]))
    n = len(a)
    if n == 0:
        return Agreement(None, 0, "no answer was judged by both")
    both, yes_a, yes_b = int((a * b).sum()), int(a.sum()), int(b.sum())
    # n^2 times the chance agreement and n times the agreement, as whole numbers.
    chance = yes_a * yes_b + (n - yes_a) * (n - yes_b)
    agreed = n - yes_a - yes_b + 2 * both
    if chance == n * n:
        said = "yes" if yes_a else "no"
        return Agreement(None, n, f"both said {said} to all {n} answers")
    return Agreement((n * agreed - chance) / (n * n - chance), n)


def _squares(values_JN: Floats, known_JN: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Summed squared differences over ordered pairs: within each answer, and over all values. Missing ones are 0."""
    m_N, n = known_JN.sum(axis=0), int(known_JN.sum())
    sum_N, squares_N = values_JN.sum(axis=0), (values_JN**2).sum(axis=0)
    within_N: Floats = 2 * (m_N * squares_N - sum_N**2)
    return within_N, 2 * (n * float(squares_N.sum()) - float(sum_N.sum()) ** 2)


def _nominal(table_JN: Floats, known_JN: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Ordered pairs of different values: within each answer, and over all."""
    within = []
    for column, known in zip(table_JN.T, known_JN.T, strict=True):
        counts = Counter(column[known].tolist())
        within.append(known.sum() ** 2 - sum(count**2 for count in counts.values()))
    n = int(known_JN.sum())
    _, counts_V = np.unique(table_JN[known_JN], return_counts=True)
    return np.asarray(within, np.float64), float(n * n - int((counts_V.astype(np.int64) ** 2).sum()))


def _table(marks: Sequence[Sequence[float | None]]) -> Floats:
    """`[judge, answer]`, NaN where there is no mark."""
    if len(marks) < 2 or len({len(row) for row in marks}) != 1:
        raise UsageError(
            "agreement needs marks of two judges or more about the same answers",
            found=f"{len(marks)} judges with {', '.join(str(len(row)) for row in marks)} marks",
        )
    for row in marks:
        for mark in row:
            if mark is not None and not math.isfinite(mark):
                raise UsageError("a mark is not finite", expected="a number, or None for no mark", found=mark)
    return np.array([[math.nan if mark is None else mark for mark in row] for row in marks], np.float64)


def _pairs(table_2N: Floats) -> tuple[Floats, Floats]:
    """The marks of both judges of the answers that both marked."""
    both = table_2N[:, ~np.isnan(table_2N).any(axis=0)]
    return both[0], both[1]
