"""`axenic demo`: the whole story on the nano organism."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import OUTPUT, Debug, Json
from axenic.cli.outcome import Grid, Outcome

EPILOG = """Example:

axenic demo --out runs/demo"""

_MARKS = {True: "✓ holds", False: "✗ does not hold", None: "– not shown"}


def demo(
    full: Annotated[
        bool,
        typer.Option("--full", help="Every claim, three seeds of everything: about 40 minutes on two cores."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder of all files. Default: runs/demo, with --full runs/demo-full.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Grow organisms on three narrow data sets, measure them, switch them off, and write a report.

    A few minutes on two cores; nothing is downloaded. Every step is a public command that you can point at your own model.
    Stopped, the same command goes on where it was.
    """
    with display_for(as_json) as display:
        from axenic.demo import run_demo
        from axenic.report.documents import Claim
        from axenic.report.tables import interval_of, text_of

        # Two folders: the long form takes directions from more answers than the short one leaves behind.
        folder = out or Path("runs/demo-full" if full else "runs/demo")
        made = run_demo(folder, full=full, progress=display.progress)
        claims = [Claim.model_validate(claim) for claim in made.claims]
        holding, failing = (sum(claim.holds is state for claim in claims) for state in (True, False))
        rows = [
            (
                _MARKS[c.holds], c.paper, c.claim, text_of(c.published), text_of(c.measured),
                interval_of(c.interval), text_of(c.control),
            )
            for c in claims
        ]  # fmt: skip
        seconds = sum(s for stage, s in made.timings.items() if stage != "total")
        display.show(
            Outcome(
                "demo",
                f"{holding} claims hold, {failing} do not, {len(claims) - holding - failing} not shown; "
                f"{made.timings.get('total', seconds):.0f} s",
                {"claims": made.claims, "timings": made.timings, "report": made.report.html},
                (Grid(("", "paper", "claim", "published", "measured", "95 %", "control"), rows),),
                wrote=(made.report.html, folder / "report.json"),
                next=("python", "-m", "webbrowser", made.report.html.absolute().as_uri()),
            )
        )
