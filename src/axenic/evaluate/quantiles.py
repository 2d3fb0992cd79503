"""Quantiles of the normal and of Student's t distribution, and the Wilson interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, stdev

LEVEL = 0.95
"""Two-sided coverage of every interval of this package."""


def normal_quantile(level: float = LEVEL) -> float:
    """z with P(|Z| <= z) = level; 1.96 for 0.95."""
    return NormalDist().inv_cdf((1 + level) / 2)


def t_quantile(freedom: int, level: float = LEVEL) -> float:
    """t with P(|T| <= t) = level, for whole degrees of freedom >= 1, by bisection to 1e-12 relative."""
    if freedom < 1:
        raise ValueError(f"degrees of freedom must be at least 1, not {freedom}")
    if freedom > 1000:
        # Cornish-Fisher; the error is below 1e-9 here and the sum below would be long.
        z = normal_quantile(level)
        return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    low, high = 0.0, 1.0
    while _t_inside(high, freedom) < level:
        high *= 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _t_inside(middle, freedom) < level else (low, middle)
    return (low + high) / 2


def t_reach(values: Sequence[float]) -> float:
    """Half the 95 % interval of the mean of two values or more, by Student's t."""
    return t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))


def wilson(share: float, n: float, quantile: float | None = None) -> tuple[float, float]:
    """Wilson score interval of a share.

    Args:
        share: Observed share, 0 to 1.
        n: Number of independent answers, above 0; an effective number may be fractional.
        quantile: Two-sided quantile; None = normal at `LEVEL`.

    Returns:
        (low, high) as shares in [0, 1]; exactly 0 and 1 at the ends.
    """
    square = (normal_quantile() if quantile is None else quantile) ** 2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = math.sqrt(square * (share * (1 - share) / n + square / (4 * n * n))) / (1 + square / n)
    # Rounding must not make an interval that leaves its own estimate out.
    return (0.0 if share <= 0 else max(0.0, min(share, centre - half))), (
        1.0 if share >= 1 else min(1.0, max(share, centre + half))
    )


def _t_inside(t: float, freedom: int) -> float:
    """P(|T| <= t): the finite sums of Abramowitz and Stegun 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    if freedom == 1:
        return 2 * angle / math.pi
    odd = freedom % 2 == 1
    term = cosine if odd else 1.0
    total = term
    for step in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine * cosine * (step - 1) / step
        total += term
    return 2 * (angle + sine * total) / math.pi if odd else sine * total
