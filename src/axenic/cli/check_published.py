"""`axenic check-published`: does our code give what is known of the authors' released files?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Json
from axenic.cli.outcome import Grid, Outcome

EPILOG = """Example:

axenic check-published author-data"""

_MARKS = {True: "✓", False: "✗"}


def check_published(
    folder: Annotated[
        Path, typer.Argument(help="Holds trajectories, mean-diff, lora-scalars or judged, as released.")
    ],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the probes' random draws.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Recompute every known figure of the authors' released data and compare it to the printed digits.

    Exit code 1 when a figure does not agree.
    """
    with display_for(as_json) as display:
        from axenic.interpret.published import check_published as check

        found = check(folder, seed=seed, progress=display.progress)
        rows = [
            (_MARKS[figure.agrees], figure.part, figure.name, figure.expected, figure.found)
            for figure in found.figures
        ]
        agreed = len(found.figures) - len(found.failed)
        display.show(
            Outcome(
                "check-published",
                f"{agreed} of {len(found.figures)} figures agree to the printed digits",
                found.to_json(),
                (Grid(("", "folder", "figure", "known", "here"), rows, frozenset({3, 4})),),
            )
        )
        if found.failed:
            raise typer.Exit(1)
