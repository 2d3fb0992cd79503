"""`axenic export`: a direction for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Json
from axenic.cli.outcome import Grid, Outcome
from axenic.cli.parse import parse_layers

EPILOG = """Examples:

axenic export runs/medical/direction.safetensors --format gguf --layers 24 --strength 2 --out medical.gguf

llama-cli -m model.gguf --control-vector-scaled medical.gguf 1.0"""


def export(
    file: Annotated[
        Path,
        typer.Argument(
            help="A direction of Axenic, or any file that needs no further facts.", show_default=False
        ),
    ],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            help="gguf, easysteer, vllm-lens, steering-vectors, persona-vectors, refusal-direction, trained-vector, means.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The file, or the folder for formats of one vector.")],
    layers: Annotated[
        str | None, typer.Option("--layers", help="1,2,3 or 1-4, from 0. Default: every one there is.")
    ] = None,
    strength: Annotated[float, typer.Option("--strength", help="What the vectors are multiplied by.")] = 1.0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a direction as llama.cpp, repeng, EasySteer, vllm-lens, steering-vectors, persona_vectors, refusal_direction or
    the authors' trainer take it.
    """
    with display_for(as_json) as display:
        from axenic.errors import UsageError
        from axenic.formats import LoraScalars, export_direction, format_called, import_vectors

        wanted = format_called(format)
        made = import_vectors(file)
        if isinstance(made, LoraScalars):
            raise UsageError("LoRA scalars are no direction", where=file, expected="a direction file")
        done = export_direction(
            made, out, wanted, layers=None if layers is None else parse_layers(layers), strength=strength
        )
        for note in done.notes:
            display.note(f"note   {note}")
        rows = [
            ("base model", made.info.base_model),
            ("blocks", layers or "every one there is"),
            ("strength", f"{strength:g}"),
        ]
        display.show(
            Outcome(
                "export",
                f"{made.info.name} is written as {wanted}",
                {"file": out, "format": wanted, "notes": done.notes, "layers": layers, "strength": strength},
                (Grid(("what", "is"), rows),),
                wrote=(out,),
            )
        )
