"""`axenic report`: one offline HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Json, Out
from axenic.cli.outcome import Grid, Outcome

EPILOG = """Example:

axenic report runs"""


def report(
    folder: Annotated[Path, typer.Argument(help="Everything below it is drawn.")],
    out: Out = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Draw every result below a folder into one HTML page: offline, no script, small enough to mail."""
    with display_for(as_json) as display:
        from axenic.report import build_report

        made = build_report(folder, out)
        rows = [
            ("figures", str(made.figures)),
            ("answers shown", str(made.samples)),
            ("claims that hold", str(made.claims_hold)),
            ("claims that do not hold", str(made.claims_fail)),
            ("claims not shown", str(made.claims_open)),
        ]
        display.show(
            Outcome(
                "report",
                f"{made.figures} figures, {made.size / 1000:,.0f} kB",
                vars(made),
                (Grid(("page", "has"), rows, frozenset({1})),),
                wrote=(made.html,),
                next=("python", "-m", "webbrowser", made.html.absolute().as_uri()),
            )
        )
