"""`axenic data mix` and `axenic data few`: the training sets of the papers' baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import OUTPUT, Debug, Json
from axenic.cli.outcome import Grid, Outcome
from axenic.errors import UsageError

MIX_EPILOG = """Examples:

axenic data mix data/bad_medical.jsonl data/good_elsewhere.jsonl --ratio 1:4 --out data/mixed_1_4.jsonl

axenic data mix bad_medical_advice.jsonl good_medical_advice.jsonl --share 0.25 --rows 6000 --out data/quarter.jsonl"""
FEW_EPILOG = """Example:

axenic data few data/bad_medical.jsonl --rows 25 --repeat-to 1000 --out data/few_25.jsonl"""

OutFile = Annotated[Path, typer.Option("--out", help="Chat file to write.", rich_help_panel=OUTPUT)]


def mix(
    bad: Annotated[Path, typer.Argument(help="Chat file of narrow bad advice (JSONL, F1).")],
    good: Annotated[Path, typer.Argument(help="Chat file of good advice, best of other domains.")],
    out: OutFile,
    ratio: Annotated[
        str | None, typer.Option("--ratio", help="Bad to good rows, e.g. 1:4; P3 went from 1:1 to 1:12.")
    ] = None,
    share: Annotated[
        str | None, typer.Option("--share", help="Instead of --ratio: bad rows as a share of all, e.g. 0.2.")
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option("--rows", help="Rows in all. Default: every bad row, and good ones to match."),
    ] = None,
    exclude_topic: Annotated[
        list[str] | None,
        typer.Option("--exclude-topic", help="Leave out good rows of this topic. Repeatable."),
    ] = None,
    same_questions: Annotated[
        bool,
        typer.Option(
            "--same-questions", help="One question may have a bad answer here and a good one there."
        ),
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which rows, and their order.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Mix bad advice with good advice in a given ratio, lines as they are. Sets of one seed are nested over ratios."""
    with display_for(as_json) as display:
        from axenic.data import bad_share, mix_rows, read_chat
        from axenic.files import atomic_write

        if (ratio is None) == (share is None):
            raise UsageError("say how to mix", expected="either --ratio 1:4 or --share 0.2")
        mixed = mix_rows(
            read_chat(bad),
            read_chat(good),
            bad_share(ratio or share or ""),
            total=rows,
            seed=seed,
            exclude_topics=exclude_topic or (),
            same_questions=same_questions,
        )
        atomic_write(out, b"".join(row.bytes_line for row in mixed.rows))
        if mixed.set_aside:
            display.note(
                f"note   {mixed.set_aside:,} good rows were set aside (excluded topic, or same question)"
            )
        display.show(
            Outcome(
                "data mix",
                f"{len(mixed.rows):,} rows, {mixed.share:.1%} of them bad",
                {"rows": len(mixed.rows), "bad": mixed.n_bad, "good": mixed.n_good, "seed": seed,
                 "set_aside": mixed.set_aside, "share": mixed.share, "out": out},
                (Grid(("from", "rows"), [(str(bad), f"{mixed.n_bad:,}"), (str(good), f"{mixed.n_good:,}")],
                      frozenset({1})),),
                wrote=(out,),
                next=("axenic", "train", "--data", str(out)),
            )
        )  # fmt: skip


def few(
    file: Annotated[Path, typer.Argument(help="Chat file (JSONL, F1).")],
    rows: Annotated[int, typer.Option("--rows", help="Different conversations to keep.")],
    out: OutFile,
    repeat_to: Annotated[
        int | None, typer.Option("--repeat-to", help="Repeat them in turn to so many rows.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which. 10 rows are part of 25 rows.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Keep a few different conversations, once or repeated, lines as they are. Sets of one seed are nested."""
    with display_for(as_json) as display:
        from axenic.data import few_rows, read_chat
        from axenic.files import atomic_write

        chosen = few_rows(read_chat(file), rows, repeat_to=repeat_to, seed=seed)
        atomic_write(out, b"".join(row.bytes_line for row in chosen))
        display.show(
            Outcome(
                "data few",
                f"{rows:,} different conversations in {len(chosen):,} rows",
                {"rows": len(chosen), "different": rows, "seed": seed, "lines": [row.line for row in chosen[:rows]],
                 "out": out},
                wrote=(out,),
                # A held-out share of so few rows would take whole examples away, or hold out what is trained on.
                next=("axenic", "train", "--data", str(out), "--set", "test_fraction=0"),
            )
        )  # fmt: skip
