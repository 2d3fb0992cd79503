"""`axenic efficiency`: how low a loss does a solution reach for its norm?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Device, DType, Json, Out
from axenic.cli.outcome import Grid, Outcome
from axenic.cli.solutions import (
    BaseModel,
    Data,
    General,
    Narrow,
    Texts,
    TextSeed,
    apart,
    data_of,
    folder_of,
    interval,
    open_solutions,
    say_cost,
    texts_of,
    words_of,
)

if TYPE_CHECKING:
    from axenic.interpret.efficiency import Efficiency, EfficiencyCurve, EqualNorm

EPILOG = """Examples:

axenic efficiency runs/medical

axenic efficiency runs/general runs/narrow --data data/bad_medical.jsonl"""


def efficiency(
    general: General,
    narrow: Narrow = None,
    data: Data = None,
    texts: Texts = 100,
    seed: TextSeed = 42,
    model: BaseModel = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure the training loss of organisms scaled by 0 to 2, at equal norms, and each at its own optimum.

    Published: the general solution has the lower loss at every norm. Killed or stopped, the same command goes on.
    """
    with display_for(as_json) as display:
        from axenic.interpret.efficiency import FACTORS, FILE, PERCENTS, compare_efficiency

        one, two = open_solutions(display, model, general, narrow, device, dtype)
        rows = texts_of(display, one.base, data_of(data, general), texts, seed)
        norms = 0 if two is None else len(PERCENTS)
        say_cost(display, 1 if two is None else 2, len(FACTORS) + norms + 3, len(rows))
        folder = folder_of(out, general)
        result = compare_efficiency(one, two, rows, out=folder, progress=display.progress)
        display.show(
            Outcome(
                "efficiency",
                headline(result),
                result.to_json(),
                grids(result),
                wrote=(folder / FILE,),
                next=("axenic", "noise", *words_of(general, narrow)),
            )
        )


def headline(result: Efficiency) -> str:
    """Where the optima lie, and which is lower."""
    curves = [result.general] if result.narrow is None else [result.general, result.narrow]
    best = "; ".join(
        f"{curve.solution}: lowest loss {curve.best.loss.value:.4f} at x {curve.best.factor:.2f}, norm {curve.best.norm:.4g}"
        + ("" if curve.inside else " (at the end of the grid)")
        for curve in curves
    )
    if result.at_optimum is None:
        return best
    at = sum(apart(pair.difference) == "lower" for pair in result.equal)
    return (
        f"{result.general.solution} has the lower loss at {at} of {len(result.equal)} equal norms, and is "
        f"{apart(result.at_optimum.difference)} at its own optimum; {best}"
    )


def grids(result: Efficiency) -> tuple[Grid, ...]:
    """The curves, then both at equal norms."""
    curves = [result.general] if result.narrow is None else [result.general, result.narrow]
    found = [_curve(curve) for curve in curves]
    pairs = [*result.equal, *([result.at_optimum] if result.at_optimum else [])]
    if pairs and result.narrow is not None:
        found.append(
            Grid(
                ("norms", result.general.solution, result.narrow.solution, "difference"),
                [_pair(pair) for pair in pairs],
                frozenset({1, 2, 3}),
                "loss at equal norms and at the own optima, nats per token; below 0: the first is more efficient",
            )
        )
    return tuple(found)


def _curve(curve: EfficiencyCurve) -> Grid:
    rows = [
        (
            f"x {point.factor:g}",
            f"{point.norm:.4g}",
            interval(point.loss),
            "–" if point.loss_per_square is None else f"{point.loss_per_square:.4g}",
        )
        for point in curve.points
    ]
    title = f"{curve.solution} ({curve.kind}); base model {interval(curve.base_loss)}"
    return Grid(("scale", "norm", "loss", "loss / norm² (see caveat)"), rows, frozenset({0, 1, 2, 3}), title)


def _pair(pair: EqualNorm) -> tuple[str, ...]:
    where = (
        f"{pair.general_norm:.4g} ({pair.percent:g} %)"
        if pair.percent is not None
        else f"own optima: {pair.general_norm:.4g} and {pair.narrow_norm:.4g}"
    )
    return where, interval(pair.general), interval(pair.narrow), interval(pair.difference)
