"""`axenic data`: look at chat files and split them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Json
from axenic.cli.outcome import Grid, Outcome
from axenic.errors import UsageError

if TYPE_CHECKING:
    from axenic.data import ChatRow

SHOW_EPILOG = """Example:

axenic data show data/bad_medical.jsonl --row 17"""
SPLIT_EPILOG = """Examples:

axenic data split data/all.jsonl --fraction 0.1

axenic data split data/all.jsonl --topic neurological --topic gastrointestinal"""


def show(
    file: Annotated[Path, typer.Argument(help="Chat file (JSONL, F1).")],
    row: Annotated[int, typer.Option("--row", min=1, help="Line of the file, from 1.")] = 1,
    model: Annotated[str, typer.Option("--model", help="Whose tokenizer and template.")] = "nano",
    layout: Annotated[
        Literal["clean", "published"],
        typer.Option("--format", help="published adds the extra assistant header of the authors' runs."),
    ] = "clean",
    max_length: Annotated[int, typer.Option("--max-length", min=2, help="Tokens kept.")] = 2048,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a row as the model sees it: trained tokens coloured, or in [brackets] where there is no colour."""
    with display_for(as_json) as display:
        from axenic.data import encode_row, read_chat, show_plain, show_row
        from axenic.models import find_model, load_tokenizer

        rows = read_chat(file)
        found = next((item for item in rows if item.line == row), None)
        if found is None:
            raise UsageError(
                f"there is no row on line {row}",
                where=file,
                expected=f"1 to {rows[-1].line}, no blank line",
                found=row,
            )
        tokenizer = load_tokenizer(find_model(model))
        encoded = encode_row(tokenizer, found, format=layout, max_length=max_length)
        display.show(
            Outcome(
                "data show",
                f"{file}:{row}: {encoded.n_trained} of {len(encoded.input_ids)} tokens are trained",
                {"row": row, "tokens": len(encoded.input_ids), "trained": encoded.n_trained, "cut": encoded.cut,
                 "tail": encoded.tail, "input_ids": encoded.input_ids, "labels": encoded.labels},
                body=show_plain(tokenizer, encoded),
                styled=show_row(tokenizer, encoded),
                next=("axenic", "train", "--model", model, "--data", str(file)),
            )
        )  # fmt: skip


def split(
    file: Annotated[Path, typer.Argument(help="Chat file (JSONL, F1).")],
    fraction: Annotated[
        float | None, typer.Option("--fraction", help="Share of the rows to hold out, e.g. 0.1.")
    ] = None,
    topic: Annotated[
        list[str] | None, typer.Option("--topic", help="Hold out every row of this topic. Repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which rows, with --fraction.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of both files. Default: beside the file.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Split a chat file into rows to train on and rows held out, at random or by topic. Lines stay as they are."""
    with display_for(as_json) as display:
        from axenic.data import read_chat, split_rows, split_topics
        from axenic.files import atomic_write

        if (fraction is None) == (not topic):
            raise UsageError("say how to split", expected="either --fraction or --topic")
        rows = read_chat(file)
        train, held = (
            split_topics(rows, topic or []) if fraction is None else split_rows(rows, fraction, seed)
        )
        folder = out or file.parent
        targets = (folder / f"{file.stem}.train.jsonl", folder / f"{file.stem}.held_out.jsonl")
        lines = file.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
        for target, part in zip(targets, (train, held), strict=True):
            atomic_write(target, _bytes_of(part, lines))
        rows_shown = [
            (str(target), str(len(part))) for target, part in zip(targets, (train, held), strict=True)
        ]
        display.show(
            Outcome(
                "data split",
                f"{len(train)} rows to train on, {len(held)} held out",
                {"train": len(train), "held_out": len(held), "files": list(targets)},
                (Grid(("file", "rows"), rows_shown, frozenset({1})),),
                wrote=targets,
                next=("axenic", "train", "--data", str(targets[0])),
            )
        )


def _bytes_of(rows: Sequence[ChatRow], lines: Sequence[bytes]) -> bytes:
    """The rows' own lines, byte for byte."""
    return b"".join(lines[row.line - 1] + b"\n" for row in rows)
