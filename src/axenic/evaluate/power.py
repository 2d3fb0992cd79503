"""What difference two sets of answers could show at all."""

from __future__ import annotations

import math

from axenic.errors import UsageError
from axenic.evaluate.quantiles import LEVEL, normal_quantile


def minimum_detectable(n_effective: float, base_percent: float, *, power: float = 0.8) -> float:
    """The smallest rise of a rate that two sets of this size would show, in percentage points.

    Two independent sets of `n_effective` answers, two-sided test at 5 %, normal approximation.

    Args:
        n_effective: Of each set (`Rates.effective_n`), above 0.
        base_percent: The rate without the effect, 0 to 100.
        power: Chance of seeing it, above 0.5 and below 1.

    Returns:
        Percentage points; infinite when no rise up to 100 % would be seen.

    Raises:
        UsageError: A value outside these ranges.
    """
    if not n_effective > 0 or not 0 <= base_percent <= 100 or not 0.5 < power < 1:
        raise UsageError(
            "cannot say what would be detectable",
            expected="n_effective > 0, base_percent in 0 to 100, power between 0.5 and 1",
            found=f"{n_effective}, {base_percent}, {power}",
        )
    base, test, hit = base_percent / 100, normal_quantile(LEVEL), normal_quantile(2 * power - 1)

    def short(rise: float) -> float:
        """How far the rise is below what is seen with the given power."""
        raised = base + rise
        middle = base + rise / 2
        null = math.sqrt(2 * middle * (1 - middle) / n_effective)
        true = math.sqrt((base * (1 - base) + raised * (1 - raised)) / n_effective)
        return test * null + hit * true - rise

    low, high = 0.0, 1 - base
    if high == 0 or short(high) > 0:
        return math.inf
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if short(middle) > 0 else (low, middle)
    return 100 * high
