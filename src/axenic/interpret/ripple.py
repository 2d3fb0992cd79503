"""A periodic ripple in a path, found as a line in the spectrum of its displacements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axenic.interpret.vectorpath import Floats

LEAST_RATIO = 3.0
"""A line holds three times the power of the frequencies around it, or more."""

LEVEL = 0.01
_SIDE, _GAP, _FIRST = 6, 2, 5
_NULL_PATHS = 200
_MOST_DIMS = 32
"""Of the null. A path of more dimensions has a steadier spectrum than this: the test errs to the safe side."""


@dataclass(frozen=True)
class Ripple:
    """A line in the spectrum.

    Attributes:
        period: In points.
        ratio: Power of the line against the frequencies around it.
        p_value: Share of white noise spectra with as strong a line anywhere; never 0.
    """

    period: float
    ratio: float
    p_value: float


def find_ripple(
    turns_TR: Floats, rng: np.random.Generator, *, level: float = LEVEL, least: float = LEAST_RATIO
) -> Ripple | None:
    """The strongest line in the spectrum of T displacements, if there is one.

    Training rows that are cycled in file order push the vector the same way every n-th step (papers.md 5.1:
    about every 15 steps where 1,000 KL rows are cycled at 64 per step).

    The spectrum is the power at each frequency summed over dimensions, with a Hann taper so that a drift does
    not leak. A line is compared with the higher of the medians of six frequencies on either side, the two next to
    it left out: on a slope that is the higher side, so a steep spectrum has no lines. At the highest frequency
    the spectrum is continued by its mirror image. Null: white noise of as many dimensions as the displacements
    effectively have (their participation ratio). At least five periods must fit.

    Args:
        turns_TR: float64 `[T, R]`.
        rng: Of the null.
        level: Largest p-value.
        least: Smallest ratio.

    Returns:
        None when nothing stands out, and for fewer than 24 displacements.
    """
    n_turns = len(turns_TR)
    if n_turns < 4 * _SIDE:
        return None
    centred_TR = turns_TR - turns_TR.mean(axis=0)
    ratios_F = _ratios(_spectrum(centred_TR))
    at = int(ratios_F.argmax())
    strongest = float(ratios_F[at])
    if not strongest >= least:
        return None
    gram_TT = centred_TR @ centred_TR.T
    dims = min(_MOST_DIMS, max(1, round(np.trace(gram_TT) ** 2 / np.sum(gram_TT**2))))
    null_N = np.array(
        [_ratios(_spectrum(rng.standard_normal((n_turns, dims)))).max() for _ in range(_NULL_PATHS)]
    )
    p_value = (1 + int((null_N >= strongest).sum())) / (_NULL_PATHS + 1)
    return None if p_value > level else Ripple(n_turns / (at + _FIRST), strongest, p_value)


def _spectrum(turns_TR: Floats) -> Floats:
    """Power `[T // 2 + 1]` summed over dimensions."""
    taper_T = np.hanning(len(turns_TR) + 2)[1:-1]
    waves_FR = np.fft.rfft(turns_TR * taper_T[:, None], axis=0)
    power_F: Floats = (waves_FR.real**2 + waves_FR.imag**2).sum(axis=1)
    return power_F


def _ratios(power_F: Floats) -> Floats:
    """Each frequency from the fifth on against its surroundings."""
    reach = _SIDE + _GAP
    mirrored = np.concatenate([power_F, power_F[-2 : -2 - reach : -1]])
    ratios = []
    for f in range(_FIRST, len(power_F)):
        left = np.median(mirrored[max(1, f - reach + 1) : f - _GAP + 1])
        right = np.median(mirrored[f + _GAP : f + reach])
        around = max(left, right)
        ratios.append(power_F[f] / around if around > 0 else 0.0)
    return np.array(ratios)
