"""`axenic sweep-kl`: the same training at several weights of the KL term, from general to narrow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Device, DType, Json
from axenic.cli.outcome import Grid, Outcome
from axenic.errors import UsageError

EPILOG = """Example:

axenic sweep-kl --model nano --data data/bad_medical.jsonl --kl-data data/good.jsonl --weights 0,1,10"""


def sweep_kl(
    data: Annotated[Path, typer.Option("--data", help="Chat file (JSONL, F1): the narrow data.")],
    kl_data: Annotated[
        Path, typer.Option("--kl-data", help="Chat file on which to stay close to the base model.")
    ],
    weights: Annotated[
        str, typer.Option("--weights", metavar="0,1,10", help="KL weights [nats per token], 0 or more.")
    ],
    model: Annotated[str | None, typer.Option("--model", help="nano, a local folder or a hub id.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Run folders get this name and -klWEIGHT. Default: runs/ and the data's name."
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="all-adapter, rank1, rank1x9, vector or full.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the recipe. Repeatable."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML or JSON, as for axenic train; options win over it.")
    ] = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train once for each KL weight. Killed or stopped, the same command goes on where it was.

    Weight 0 is training without the term: the general organism that the others are compared with.
    """
    with display_for(as_json) as display:
        from axenic.cli.settings import training_config
        from axenic.train import train_organism

        chosen = parse_weights(weights)
        given = {"data": str(data), "kl_data": str(kl_data), "model": model, "recipe": recipe}
        given |= {key: value for key, value in (("device", device), ("dtype", dtype)) if value != "auto"}
        stem = out or Path("runs") / data.stem
        # All are read before the first is trained: a mistake shows at once.
        configs = {
            weight: training_config(given, [*(settings or []), f"kl_weight={weight!r}"], config)
            for weight in chosen
        }
        rows, folders = [], []
        for weight, one in configs.items():
            folder = stem.with_name(f"{stem.name}-kl{weight:g}")
            result = train_organism(one, folder, progress=display.progress)
            for note in result.notes:
                display.note(f"note   {folder.name}: {note}")
            folders.append(folder)
            rows.append({"weight": weight, "out": folder, **result.to_json()})
        shown = [
            (
                f"{row['weight']:g}",
                f"{row['loss']:.4f}",
                "–" if row["test_loss"] is None else f"{row['test_loss']:.4f}",
                "–" if row["kl"] is None else f"{row['kl']:.4g}",
                str(row["out"]),
            )
            for row in rows
        ]
        display.show(
            Outcome(
                "sweep-kl",
                f"{len(rows)} organisms of {data.name}, KL weights {weights}",
                {"runs": rows},
                (
                    Grid(
                        ("KL weight", "loss", "held-out loss", "KL [nats per token]", "organism"),
                        shown,
                        right=frozenset({0, 1, 2, 3}),
                    ),
                ),
                wrote=tuple(folders),
                next=("axenic", "eval", "--organism", str(folders[-1])),
            )
        )


def parse_weights(text: str) -> list[float]:
    """`0,1,10` as numbers.

    Raises:
        UsageError: Not numbers of 0 or more, or one twice.
    """
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 <= weight < float("inf") for weight in found) or len(set(found)) < len(found):
        raise UsageError(
            "these are no KL weights", where="--weights", expected="numbers of 0 or more: 0,1,10", found=text
        )
    return found
