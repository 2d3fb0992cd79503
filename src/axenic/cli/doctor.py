"""`axenic doctor`: will it work on this machine?"""

from __future__ import annotations

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Json
from axenic.cli.outcome import Grid, Outcome

EPILOG = """Example:

axenic doctor --json"""

_MARKS = {True: "✓", False: "✗", None: "–"}


def doctor(as_json: Json = False, debug: Debug = False) -> None:
    """Check versions, device, disk, threads, tokens, and whether hooks fire on this transformers version.

    Exit code 1 when something that every command needs is broken.
    """
    with display_for(as_json) as display:
        from axenic.doctor import check_machine

        checks = check_machine()
        broken = [check.name for check in checks if check.fine is False]
        display.show(
            Outcome(
                "doctor",
                "ready" if not broken else f"not ready: {', '.join(broken)}",
                {"ready": not broken, "checks": [vars(check) for check in checks]},
                (
                    Grid(
                        ("", "what", "found"),
                        [(_MARKS[check.fine], check.name, check.found) for check in checks],
                    ),
                ),
                next=("axenic", "demo") if not broken else (),
            )
        )
        if broken:
            raise typer.Exit(1)
