"""Stability: how much of what a solution gained is lost when its parameters are moved at random (P3, papers.md M3.8)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from axenic.data import Encoded
from axenic.errors import DataError, UsageError
from axenic.evaluate.quantiles import t_reach
from axenic.files import write_json
from axenic.interpret.armresult import parse_result, plain_lists
from axenic.interpret.efficiency import check_pair
from axenic.interpret.settings import BATCH_TOKENS, measure
from axenic.interpret.solution import Solution
from axenic.progress import Progress, silent

FILE, SUMS = "noise.json", "noise.jsonl"
LEVELS = (0.01, 0.05, *(step / 10 for step in range(1, 11)))
SEEDS = tuple(range(42, 52))


@dataclass(frozen=True)
class NoisePoint:
    """Loss gained back at one share of noise.

    Attributes:
        epsilon: x' = sqrt(1 - ε²)·x + ε·y.
        percents: Of each seed: 100·(L(x') - L(x)) / (L(base) - L(x)); 0 no damage, 100 all benefit lost.
        percent: Their mean.
        low, high: 95 % interval of the mean, Student's t over seeds; None with one seed.
    """

    epsilon: float
    percents: tuple[float, ...]
    percent: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class NoiseCurve:
    """One solution under noise.

    Attributes:
        solution, kind: Its name; lora, vector or full.
        base_loss, loss: Of the base model and of the solution, nats per labelled token.
        points: By share of noise.
    """

    solution: str
    kind: str
    base_loss: float
    loss: float
    points: tuple[NoisePoint, ...]


@dataclass(frozen=True)
class Noise:
    """What `noise_stability` found.

    Attributes:
        texts, tokens: What it was measured on.
        seeds: Of the noise, in the order of each point's `percents`.
        general, narrow: The curves; None where there is one solution only.
        difference: narrow minus general, paired by seed; above 0: the narrow one is damaged more.
    """

    texts: int
    tokens: int
    seeds: tuple[int, ...]
    general: NoiseCurve
    narrow: NoiseCurve | None = None
    difference: tuple[NoisePoint, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All fields with `"kind": "noise"`."""
        return {"kind": "noise", **plain_lists(asdict(self))}

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "noise", row)


def noise_stability(
    general: Solution,
    narrow: Solution | None,
    texts: Sequence[Encoded],
    *,
    levels: Sequence[float] = LEVELS,
    seeds: Sequence[int] = SEEDS,
    batch_tokens: int = BATCH_TOKENS,
    out: Path | None = None,
    progress: Progress = silent,
) -> Noise:
    """The share of its benefit that each solution loses under noise.

    A seed draws the same noise for both solutions where their shapes agree, so their difference is paired by seed.

    Args:
        general: The first solution.
        narrow: Another one of the same base model, or None.
        texts: Training rows, their answers labelled.
        levels: Shares of noise, 0 to 1.
        seeds: Of the noise.
        batch_tokens: As for `measure`.
        out: A folder for the result and for what resumes it.
        progress: Told after every batch.

    Raises:
        UsageError: No level or seed, one twice, or solutions of two base models.
        DataError: A solution that is no better on these texts than the base model: there is no benefit to lose.
    """
    for name, values in (("level of noise", levels), ("seed", seeds)):
        if not values or len(set(values)) < len(values):
            raise UsageError(f"each {name} once", expected="one or more", found=list(values))
    check_pair(general, narrow)
    file = None if out is None else out / SUMS
    curves, tokens = [], 0
    for solution in (general,) if narrow is None else (general, narrow):
        settings = [solution.noisy(epsilon, seed) for epsilon in levels for seed in seeds]
        found = measure(
            solution, [solution.scaled(1), *settings], texts, batch_tokens=batch_tokens, kl=False, out=file,
            progress=progress,
        )  # fmt: skip
        tokens = int(found.tokens_N.sum())
        base = float(found.base_nll_N.sum()) / tokens
        own, *moved = (found.nll_NK.sum(0) / tokens).tolist()
        percents = iter(lost_percents(base, own, moved, solution.name))
        points = tuple(_point(epsilon, [next(percents) for _ in seeds]) for epsilon in levels)
        curves.append(NoiseCurve(solution.name, solution.kind, base, own, points))
    result = Noise(len(texts), tokens, tuple(seeds), curves[0])
    if narrow is not None:
        difference = tuple(
            _point(one.epsilon, [n - g for g, n in zip(one.percents, two.percents, strict=True)])
            for one, two in zip(curves[0].points, curves[1].points, strict=True)
        )
        result = Noise(len(texts), tokens, tuple(seeds), curves[0], curves[1], difference)
    if out is not None:
        write_json(out / FILE, result.to_json())
    return result


def lost_percents(base: float, own: float, moved: Sequence[float], name: str) -> list[float]:
    """100·(L(x') - L(x)) / (L(base) - L(x)) of each x'.

    Args:
        base: L(base).
        own: L(x).
        moved: L(x') of each.
        name: Of the solution, for the error.

    Raises:
        DataError: L(base) <= L(x).
    """
    if not base > own:
        raise DataError(
            "the solution is no better on these texts than its base model: what noise takes of its benefit is undefined",
            where=name,
            expected=f"a loss below {base:.4f}, the base model's",
            found=f"{own:.4f}",
            hint="give the rows that it was trained on: --data FILE",
        )
    return [100 * (loss - own) / (base - own) for loss in moved]


def _point(epsilon: float, percents: Sequence[float]) -> NoisePoint:
    mean = statistics.fmean(percents)
    if len(percents) < 2:
        return NoisePoint(epsilon, tuple(percents), mean, None, None)
    reach = t_reach(percents)
    return NoisePoint(epsilon, tuple(percents), mean, mean - reach, mean + reach)
