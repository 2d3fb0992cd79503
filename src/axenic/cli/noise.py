"""`axenic noise`: how much of what training gained survives noise on its parameters?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

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
    data_of,
    folder_of,
    open_solutions,
    say_cost,
    texts_of,
    words_of,
)

if TYPE_CHECKING:
    from axenic.interpret.noise import Noise, NoisePoint

EPILOG = """Examples:

axenic noise runs/medical --draws 3

axenic noise runs/general runs/narrow --data data/bad_medical.jsonl"""


def noise(
    general: General,
    narrow: Narrow = None,
    data: Data = None,
    draws: Annotated[int, typer.Option("--draws", min=1, help="Draws of noise at each share.")] = 10,
    texts: Texts = 100,
    seed: TextSeed = 42,
    model: BaseModel = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Mix noise into what training added, 1 to 100 %, and measure how much of its gain in loss goes.

    Published: the narrow solution degrades faster at every share. Killed or stopped, the same command goes on.
    """
    with display_for(as_json) as display:
        from axenic.interpret.noise import FILE, LEVELS, SEEDS, noise_stability

        one, two = open_solutions(display, model, general, narrow, device, dtype)
        rows = texts_of(display, one.base, data_of(data, general), texts, seed)
        say_cost(display, 1 if two is None else 2, len(LEVELS) * draws + 2, len(rows))
        folder = folder_of(out, general)
        result = noise_stability(
            one, two, rows, seeds=range(SEEDS[0], SEEDS[0] + draws), out=folder, progress=display.progress
        )
        display.show(
            Outcome(
                "noise",
                headline(result),
                result.to_json(),
                (grid(result),),
                wrote=(folder / FILE,),
                next=("axenic", "significance", *words_of(general, narrow)),
            )
        )


def headline(result: Noise) -> str:
    """How many shares of noise damage the narrow one clearly more."""
    if result.narrow is None:
        middle = min(result.general.points, key=lambda point: abs(point.epsilon - 0.5))
        return f"{result.general.solution} loses {middle.percent:.0f} % of its benefit at noise {middle.epsilon:g}"
    more = sum(point.low is not None and point.low > 0 for point in result.difference)
    less = sum(point.high is not None and point.high < 0 for point in result.difference)
    return (
        f"{result.narrow.solution} is clearly damaged more than {result.general.solution} at {more} of "
        f"{len(result.difference)} shares of noise, less at {less}"
    )


def grid(result: Noise) -> Grid:
    """One line for each share of noise."""
    rows = []
    for i, point in enumerate(result.general.points):
        row = [f"{point.epsilon:g}", _percent(point)]
        if result.narrow is not None:
            row += [_percent(result.narrow.points[i]), _percent(result.difference[i])]
        rows.append(tuple(row))
    columns = ["noise", result.general.solution]
    if result.narrow is not None:
        columns += [result.narrow.solution, "difference"]
    title = f"percent of the benefit lost, mean and 95 % interval over {len(result.seeds)} draws"
    return Grid(tuple(columns), rows, frozenset(range(len(columns))), title)


def _percent(point: NoisePoint) -> str:
    if point.low is None or point.high is None:
        return f"{point.percent:.1f}"
    return f"{point.percent:.1f} [{point.low:.1f}, {point.high:.1f}]"
