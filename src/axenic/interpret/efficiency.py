"""Efficiency: how low a loss a solution reaches for its norm (P3, papers.md M3.7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from axenic.data import Encoded
from axenic.errors import UsageError
from axenic.files import write_json
from axenic.interpret.armresult import parse_result, plain_lists
from axenic.interpret.setting import Setting
from axenic.interpret.settings import BATCH_TOKENS, measure
from axenic.interpret.settingsums import Floats
from axenic.interpret.solution import Solution
from axenic.interpret.textmean import TextMean, text_means
from axenic.progress import Progress, silent

FILE, SUMS = "efficiency.json", "efficiency.jsonl"
FACTORS = tuple(step / 10 for step in range(21))
PERCENTS = tuple(range(20, 201, 20))
RATIO_CAVEAT = (
    "loss per squared norm is the paper's stated definition, but it falls with any longer solution, a useless one too; "
    "the plotted curves are what its claim rests on (papers.md M3.7)"
)


@dataclass(frozen=True)
class EfficiencyPoint:
    """The solution times a factor.

    Attributes:
        factor: On what training added.
        norm: Effective norm.
        loss: Nats per labelled token.
        loss_per_square: loss / norm²; None at norm 0.
    """

    factor: float
    norm: float
    loss: TextMean
    loss_per_square: float | None


@dataclass(frozen=True)
class EfficiencyCurve:
    """Loss against norm of one solution.

    Attributes:
        solution: Its name.
        kind: lora, vector or full.
        norm: Effective norm of the solution itself.
        base_loss: Of the base model.
        points: By factor, ascending.
        best: The lowest point that was measured: of the grid, and where parabolas through its lowest points have their
            vertex.
        inside: Whether the grid rises again on both sides of it; else the optimum may lie beyond.
    """

    solution: str
    kind: str
    norm: float
    base_loss: TextMean
    points: tuple[EfficiencyPoint, ...]
    best: EfficiencyPoint
    inside: bool


@dataclass(frozen=True)
class EqualNorm:
    """Both solutions at one norm; `difference` is general minus narrow, paired over texts.

    `percent` is of the mean of the two norms; None where each is at its own optimum.
    """

    percent: float | None
    general_norm: float
    narrow_norm: float
    general: TextMean
    narrow: TextMean
    difference: TextMean


@dataclass(frozen=True)
class Efficiency:
    """What `compare_efficiency` found.

    Attributes:
        texts, tokens: What it was measured on.
        general: The curve of the first solution.
        narrow: Of the second, None where there is one only.
        equal: Both at equal norms.
        at_optimum: Each at its own optimum.
        caveat: On the column loss per squared norm.
    """

    texts: int
    tokens: int
    general: EfficiencyCurve
    narrow: EfficiencyCurve | None = None
    equal: tuple[EqualNorm, ...] = ()
    at_optimum: EqualNorm | None = None
    caveat: str = RATIO_CAVEAT

    def to_json(self) -> dict[str, Any]:
        """All fields with `"kind": "efficiency"`."""
        return {"kind": "efficiency", **plain_lists(asdict(self))}

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "efficiency", row)


def compare_efficiency(
    general: Solution,
    narrow: Solution | None,
    texts: Sequence[Encoded],
    *,
    factors: Sequence[float] = FACTORS,
    percents: Sequence[float] = PERCENTS,
    seed: int = 0,
    batch_tokens: int = BATCH_TOKENS,
    out: Path | None = None,
    progress: Progress = silent,
) -> Efficiency:
    """Loss of one or two solutions over factors, at equal norms, and at their own optima.

    Optima are chosen on the texts that they are measured on, for both alike: they are a little too low.

    Args:
        general: The first solution.
        narrow: Another one of the same base model, or None.
        texts: Training rows, their answers labelled.
        factors: Three or more; the grid of the curve.
        percents: Equal norms, of the mean of the two.
        seed: Of the bootstrap over texts.
        batch_tokens: As for `measure`.
        out: A folder for the result and for what resumes it.
        progress: Told after every batch.

    Raises:
        UsageError: Fewer than three factors, one twice, or solutions of two base models.
    """
    grid = sorted(factors)
    if len(grid) < 3 or len(set(grid)) < len(grid):
        raise UsageError("a curve needs factors", expected="three or more, each once", found=list(factors))
    check_pair(general, narrow)
    both = [general] if narrow is None else [general, narrow]
    mean = sum(solution.norm for solution in both) / len(both)
    norms = [percent / 100 * mean for percent in percents] if narrow is not None else []
    sums = _Runs(texts, batch_tokens, None if out is None else out / SUMS, progress)
    for solution in both:
        sums.run([*map(solution.scaled, grid), *map(solution.at_norm, norms)])
    curves = [_curve(solution, grid, sums, seed) for solution in both]
    equal: tuple[EqualNorm, ...] = ()
    at_optimum = None
    if narrow is not None:
        equal = tuple(
            _pair(percent, general.at_norm(norm), narrow.at_norm(norm), sums, seed)
            for percent, norm in zip(percents, norms, strict=True)
        )
        best = [solution.scaled(curve.best.factor) for solution, curve in zip(both, curves, strict=True)]
        at_optimum = _pair(None, best[0], best[1], sums, seed)
    result = Efficiency(
        len(texts), int(sums.tokens_N.sum()), curves[0], curves[1] if narrow else None, equal, at_optimum
    )
    if out is not None:
        write_json(out / FILE, result.to_json())
    return result


def check_pair(general: Solution, narrow: Solution | None) -> None:
    """Refuse two solutions that do not belong to one base model. Raises `UsageError`."""
    if narrow is not None and narrow.base.identity.base != general.base.identity.base:
        raise UsageError(
            "solutions of two base models do not compare",
            where=f"{general.name} and {narrow.name}",
            expected=f"base model {general.base.identity.base}",
            found=narrow.base.identity.base,
        )


class _Runs:
    """Measured losses by setting."""

    def __init__(
        self, texts: Sequence[Encoded], batch_tokens: int, out: Path | None, progress: Progress
    ) -> None:
        self.texts, self.batch_tokens, self.out, self.progress = texts, batch_tokens, out, progress
        self.nll_N: dict[str, Floats] = {}

    def run(self, settings: Sequence[Setting]) -> None:
        found = measure(
            settings[0].solution, settings, self.texts, batch_tokens=self.batch_tokens, kl=False, out=self.out,
            progress=self.progress,
        )  # fmt: skip
        self.tokens_N, self.base_N = found.tokens_N, found.base_nll_N
        self.nll_N |= {setting.id: found.nll_NK[:, k] for k, setting in enumerate(settings)}

    def point(self, setting: Setting, seed: int) -> EfficiencyPoint:
        (loss,) = text_means(self.nll_N[setting.id][:, None], self.tokens_N, seed)
        square = setting.norm**2
        return EfficiencyPoint(setting.factor, setting.norm, loss, loss.value / square if square else None)


def _curve(solution: Solution, grid: Sequence[float], sums: _Runs, seed: int) -> EfficiencyCurve:
    points = {factor: sums.point(solution.scaled(factor), seed) for factor in grid}
    lowest = min(grid, key=lambda factor: points[factor].loss.value)
    inside = lowest not in (grid[0], grid[-1])
    tried = dict(points)
    for _ in range(2):
        vertex = _vertex(tried)
        if not inside or vertex is None or vertex in tried:
            break
        sums.run([solution.scaled(vertex)])
        tried[vertex] = sums.point(solution.scaled(vertex), seed)
    best = min(tried.values(), key=lambda point: point.loss.value)
    (base,) = text_means(sums.base_N[:, None], sums.tokens_N, seed)
    return EfficiencyCurve(
        solution.name, solution.kind, solution.norm, base, tuple(points.values()), best, inside
    )


def _vertex(points: dict[float, EfficiencyPoint]) -> float | None:
    """Lowest point of the parabola through the lowest point and its two neighbours; None where it opens downwards."""
    order = sorted(points)
    at = min(range(len(order)), key=lambda i: points[order[i]].loss.value)
    if not 0 < at < len(order) - 1:
        return None
    left, middle, right = order[at - 1 : at + 2]
    low = points[middle].loss.value
    # y = a·x² + b·x about the middle, so that nothing cancels.
    by_left, by_right = ((points[x].loss.value - low) / (x - middle) for x in (left, right))
    a = (by_right - by_left) / (right - left)
    return middle - (by_left - a * (left - middle)) / (2 * a) if a > 0 else None


def _pair(percent: float | None, general: Setting, narrow: Setting, sums: _Runs, seed: int) -> EqualNorm:
    one_N1, two_N1 = (sums.nll_N[setting.id][:, None] for setting in (general, narrow))
    (difference,) = text_means(one_N1, sums.tokens_N, seed, minus_NK=two_N1)
    points = [sums.point(setting, seed) for setting in (general, narrow)]
    return EqualNorm(percent, general.norm, narrow.norm, points[0].loss, points[1].loss, difference)
