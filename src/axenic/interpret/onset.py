"""When a behaviour sets in along training: the first step at which its rate is half-way up to its peak.

Q questions, S measured steps, R resamples, N shuffles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from axenic.errors import DataError
from axenic.evaluate.bootstrap import percentile_interval, resample_sums

Floats = npt.NDArray[np.float64]

WINDOW = 3
"""Measured steps of the rolling average: the step itself and one on either side (at an end, one)."""

CHANCE = 0.025
"""How often steps that are all alike may be said to have an onset."""

SHUFFLES = 400


@dataclass(frozen=True)
class Onset:
    """Where a rate sets in.

    Attributes:
        step: First measured step whose rolling average is half-way or more from that of the first step to the
            highest.
        low, high: 95 % interval, cluster bootstrap over questions, to whole measured steps. Nothing is known of what
            lies between two of them, so that the lower end is the one before.
        peak: Step of the highest rolling average.
    """

    step: int
    low: int
    high: int
    peak: int


def rolling_average(rates_S: npt.ArrayLike, window: int = WINDOW) -> Floats:
    """Centred mean over `window` (odd) entries of the last axis; near an end over those that are there."""
    rates = np.asarray(rates_S, dtype=np.float64)
    reach, n = window // 2, rates.shape[-1]
    sums = np.concatenate([np.zeros_like(rates[..., :1]), np.cumsum(rates, axis=-1)], axis=-1)
    first, past = np.maximum(np.arange(n) - reach, 0), np.minimum(np.arange(n) + reach + 1, n)
    means: Floats = (sums[..., past] - sums[..., first]) / (past - first)
    return means


def find_onset(
    steps: Sequence[int], counts_QS: npt.ArrayLike, totals_QS: npt.ArrayLike, *, seed: int = 0
) -> Onset | None:
    """The onset of a rate, or None where its rise may be chance.

    A peak and not the end is what half is taken of: a strongly scaled adapter breaks the model in the end, and the
    misalignment that it had shown before is gone with the coherence. The highest of S noisy steps is always above the
    first, so the rise must be one of the `CHANCE` largest among `SHUFFLES` tables in which each question's answers
    are shuffled over the steps: were all steps alike, any order would be as likely. Simulated (32 questions that differ,
    24 steps, one answer each): of 200 constant curves with 5 and 200 with 20 % EM 1 and 7 were said to have an onset;
    of 800 rises to 20 to 50 % all had one, and 799 intervals held the true half-way step.

    Args:
        steps: Of training, ascending.
        counts_QS: Answers that show it, per question and step.
        totals_QS: Answers, per question and step; every step has some.
        seed: Of shuffles and bootstrap.

    Raises:
        DataError: Shapes that do not fit, or a step without an answer.
    """
    counts, totals = np.asarray(counts_QS, dtype=np.float64), np.asarray(totals_QS, dtype=np.float64)
    if counts.shape != totals.shape or counts.ndim != 2 or counts.shape[1] != len(steps):
        raise DataError(
            "counts do not fit the steps",
            expected=f"[questions, {len(steps)}] twice",
            found=f"{list(counts.shape)} and {list(totals.shape)}",
        )
    if not (totals.sum(axis=0) > 0).all():
        raise DataError("a step has no answer to count", found=f"steps {list(steps)}")
    if len(steps) < 2:
        return None
    rolling_S = rolling_average(counts.sum(axis=0) / totals.sum(axis=0))
    peak = int(rolling_S.argmax())
    if rolling_S[peak] <= rolling_S[0]:
        return None
    rise = rolling_S[peak] - rolling_S[0]
    chance_N = _shuffled_rises(counts, totals, np.random.default_rng(seed))
    # Rounding must not tell two equal rises apart.
    if (1 + int((chance_N >= rise - 1e-12).sum())) / (1 + SHUFFLES) > CHANCE:
        return None
    sums_RC = resample_sums(np.concatenate([counts, totals], axis=1), seed)
    with np.errstate(invalid="ignore"):
        # 0/0 where a resample holds no question that was asked at a step; such a resample says nothing.
        rates_RS = sums_RC[:, : len(steps)] / sums_RC[:, len(steps) :]
    rolling_RS = rolling_average(rates_RS[np.isfinite(rates_RS).all(axis=1)])
    low, high = percentile_interval(_half_way(rolling_RS).astype(np.float64))
    at = int(_half_way(rolling_S[None])[0])
    return Onset(steps[at], steps[max(0, min(int(low), at) - 1)], steps[max(int(high), at)], steps[peak])


def _shuffled_rises(counts_QS: Floats, totals_QS: Floats, rng: np.random.Generator) -> Floats:
    """Highest rolling average above the first step's, in each of `SHUFFLES` tables shuffled over the steps."""
    rises = np.empty(SHUFFLES)
    for n in range(SHUFFLES):
        order_QS = rng.random(counts_QS.shape).argsort(axis=1)
        shuffled_S = np.take_along_axis(counts_QS, order_QS, 1).sum(axis=0)
        asked_S = np.take_along_axis(totals_QS, order_QS, 1).sum(axis=0)
        rolling_S = rolling_average(shuffled_S / np.maximum(asked_S, 1))
        rises[n] = rolling_S.max() - rolling_S[0]
    return rises


def _half_way(rolling_RS: Floats) -> npt.NDArray[np.intp]:
    """Index of the first step at or above the middle between the first step and the highest, for each row."""
    start_R1 = rolling_RS[:, :1]
    level_R1 = (start_R1 + rolling_RS.max(axis=1, keepdims=True)) / 2
    found: npt.NDArray[np.intp] = (rolling_RS >= level_R1).argmax(axis=1)
    return found
