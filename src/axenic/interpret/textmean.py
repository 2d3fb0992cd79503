"""A mean per token over texts with its interval, and the paired difference of two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from axenic.evaluate.bootstrap import percentile_interval, resample_sums

METHOD = "95 % bootstrap over texts, the same draws for all settings and solutions"


@dataclass(frozen=True)
class TextMean:
    """Nats per token, every token the same weight.

    Attributes:
        value: Sum over all texts / their tokens.
        low, high: Interval over texts; None with a single text.
    """

    value: float
    low: float | None
    high: float | None


def text_means(
    sums_NK: npt.ArrayLike, tokens_N: npt.ArrayLike, seed: int = 0, *, minus_NK: npt.ArrayLike | None = None
) -> list[TextMean]:
    """The mean of each column, or with `minus_NK` its difference from the same column there.

    All columns, and all calls with the same seed and number of texts, see the same resamples: differences are paired.

    Args:
        sums_NK: Summed nats of N texts under K settings.
        tokens_N: Tokens of each text, above 0.
        seed: Of the bootstrap.
        minus_NK: Sums of the same texts.
    """
    sums = np.asarray(sums_NK, dtype=np.float64)
    tokens = np.asarray(tokens_N, dtype=np.float64)
    gaps = sums if minus_NK is None else sums - np.asarray(minus_NK, dtype=np.float64)
    values = gaps.sum(0) / tokens.sum()
    if len(tokens) < 2:
        return [TextMean(float(value), None, None) for value in values]
    drawn = resample_sums(np.column_stack([gaps, tokens]), seed)
    means_RK = drawn[:, :-1] / drawn[:, -1:]
    return [
        TextMean(float(value), *percentile_interval(means_R))
        for value, means_R in zip(values, means_RK.T, strict=True)
    ]
