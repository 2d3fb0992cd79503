"""The cluster bootstrap: whole questions are drawn again, never single answers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from axenic.evaluate.quantiles import LEVEL

Floats = npt.NDArray[np.float64]

RESAMPLES = 2000
_BLOCK_CELLS = 4_000_000


def resample_sums(counts_QC: npt.ArrayLike, seed: int, resamples: int = RESAMPLES) -> Floats:
    """Column sums over Q questions drawn with replacement; all columns see the same draws.

    Args:
        counts_QC: `[Q, C]`, per question: answers, EM answers, ... At least one question.
        seed: Of numpy's PCG64; the same seed and Q give the same draws.
        resamples: R.

    Returns:
        float64 `[R, C]`.
    """
    table = np.asarray(counts_QC, dtype=np.float64)
    questions = table.shape[0]
    rng = np.random.default_rng(seed)
    sums = np.empty((resamples, table.shape[1]))
    block = max(1, _BLOCK_CELLS // questions)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn_RQ = rng.integers(questions, size=(rows, questions))
        # How often each question was drawn in each resample; one matrix product does the rest.
        cells = drawn_RQ + questions * np.arange(rows)[:, None]
        times_RQ = np.bincount(cells.ravel(), minlength=rows * questions).reshape(rows, questions)
        sums[start : start + rows] = times_RQ @ table
    return sums


def percentile_interval(values_R: Floats) -> tuple[float, float]:
    """Percentile interval at `LEVEL` of resampled values.

    Nothing is interpolated, so that infinite values may occur; NaN values (0/0 in a resample) are left out.

    Raises:
        ValueError: No value is left.
    """
    known = values_R[~np.isnan(values_R)]
    if known.size == 0:
        raise ValueError("no resample has a value")
    low = np.quantile(known, (1 - LEVEL) / 2, method="lower")
    high = np.quantile(known, (1 + LEVEL) / 2, method="higher")
    return float(low), float(high)
