"""`axenic gradients`: does the loss of a narrow run pull towards the general direction?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Device, DType, Json, Out
from axenic.cli.outcome import Grid, Outcome

if TYPE_CHECKING:
    from axenic.interpret.gradient import GradientAlignment

EPILOG = """Example:

axenic gradients runs/v-kl10 --general runs/v-kl0 --narrow runs/v-kl10 --data data/bad_medical.jsonl --every 10"""


def gradients(
    run: Annotated[Path, typer.Argument(help="A run folder of axenic train with trajectory_steps above 0.")],
    general: Annotated[str, typer.Option("--general", help="The organism trained without a KL term.")],
    narrow: Annotated[str, typer.Option("--narrow", help="The organism trained with one.")],
    data: Annotated[Path, typer.Option("--data", help="Chat file (JSONL, F1): the narrow data.")],
    every: Annotated[
        int | None, typer.Option("--every", min=1, help="Keep multiples of this many steps, and the last.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows that the gradient is averaged over.")] = 32,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the draw of rows.")] = 0,
    model: Annotated[str | None, typer.Option("--model", help="Base model. Default: the run's own.")] = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Cosine of the descent direction at each stored step with the general and the narrow organism's end.

    Run again, it does only what is missing.
    """
    with display_for(as_json) as display:
        from axenic.cli.work import opened_model
        from axenic.data import read_chat
        from axenic.interpret.gradient import FILE, gradient_alignment, rows_of_run

        opened = opened_model(display, model, str(run), device, dtype)
        found = gradient_alignment(
            opened,
            run,
            {"general": general, "narrow": narrow},
            rows_of_run(opened, run, read_chat(data), most=rows, seed=seed),
            every=every,
            most_rows=rows,
            seed=seed,
            out=out or run,
            progress=display.progress,
        )
        display.show(
            Outcome(
                "gradients",
                headline(found),
                found.to_json(),
                (gradients_grid(found),),
                wrote=((out or run) / FILE,),
                next=("axenic", "paths", general, narrow),
            )
        )


def headline(found: GradientAlignment) -> str:
    """At how many steps the general direction is the nearer one."""
    both = [
        (a, b)
        for point in found.points
        if (a := point.cosines["general"]) is not None and (b := point.cosines["narrow"]) is not None
    ]
    nearer = sum(a > b for a, b in both)
    return (
        f"the gradient is nearer to the general direction at {nearer} of {len(both)} steps; "
        f"a random direction has a cosine of 0 +- {found.random_sd:.3g}"
    )


def gradients_grid(found: GradientAlignment) -> Grid:
    """One line for each step."""
    rows = []
    for point in found.points:
        cosines = [point.cosines[name] for name in ("general", "narrow")]
        rows.append(
            (
                str(point.step),
                f"{point.loss:.4f}",
                f"{point.norm:.3g}",
                *("–" if value is None else f"{value:.3f}" for value in cosines),
                *(f"{point.slopes[name]:.3g}" for name in ("general", "narrow")),
                "–" if not point.random else f"{max(map(abs, point.random)):.3f}",
            )
        )
    return Grid(
        ("step", "loss", "gradient", "cos general", "cos narrow", "slope general", "slope narrow", "random, at most"),
        rows,
        frozenset(range(8)),
        f"{found.n_rows} rows; slopes in nats per token and unit of what is added",
    )  # fmt: skip
