"""`axenic import`: other people's vectors, in Axenic's conventions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Json, Out
from axenic.cli.outcome import Grid, Outcome

if TYPE_CHECKING:
    from axenic.directions import Direction, Operation, Site
    from axenic.formats import Detected, Facts, LayerVectors, LoraScalars
    from axenic.formats.facts import Rows, Span

EPILOG = """Examples:

axenic import happy.gguf --base-model Qwen/Qwen2.5-14B-Instruct

axenic import evil_response_avg_diff.pt --allow-pickle --base-model Qwen/Qwen2.5-7B-Instruct --out evil.safetensors

axenic import model-m_data-m_hs_all.pt --minus model-m_data-a_hs_all.pt --allow-pickle --base-model MODEL

What the file does not say is asked for in one message. A pickle is read by a process of its own that knows tensors and
text only."""


def import_(
    file: Annotated[
        Path, typer.Argument(help="A file of vectors, or a folder with one.", show_default=False)
    ],
    base_model: Annotated[
        str | None,
        typer.Option(
            "--base-model",
            help="The model the vectors belong to: nano, a folder or a hub id; its weights are hashed, so they must be here.",
        ),
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Read a .pt or .bin, safely, by a process of its own.")
    ] = False,
    layer: Annotated[
        int | None,
        typer.Option("--layer", min=-1, help="Block of a single vector, from 0; -1 the embedding."),
    ] = None,
    alpha: Annotated[
        float | None, typer.Option("--alpha", help="What the stored vector is multiplied by.")
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option("--rows", help="How a matrix counts: block_output_0, embeddings_first, block_input."),
    ] = None,
    pos: Annotated[int | None, typer.Option("--pos", help="Which token position; -1 the last.")] = None,
    minus: Annotated[
        Path | None, typer.Option("--minus", help="Means to subtract: those of the aligned answers.")
    ] = None,
    span: Annotated[str | None, typer.Option("--span", help="Which means: answer or question.")] = None,
    site: Annotated[
        str | None, typer.Option("--site", help="resid_post, mlp_out, attn_out or embed.")
    ] = None,
    operation: Annotated[
        str | None, typer.Option("--operation", help="What it is meant for: add or project_out.")
    ] = None,
    negate: Annotated[
        bool, typer.Option("--negate", help="Turn the vectors round, if they point toward more aligned.")
    ] = False,
    name: Annotated[str | None, typer.Option("--name", help="What to call it.")] = None,
    out: Out = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what a file of vectors is, and write it as a direction of Axenic: layers counted from 0 at block outputs, scale
    or alpha multiplied in.
    """
    with display_for(as_json) as display:
        from axenic.formats import Facts, LoraScalars, detect, import_vectors

        facts = Facts(
            name=name, layer=layer, alpha=alpha, pos=pos, minus=minus, negate=negate,
            rows=_rows(rows), span=_span(span), site=_site(site), operation=_operation(operation),
        )  # fmt: skip
        if base_model is not None:
            facts = facts_of_model(facts, base_model)
        found = detect(file, facts, allow_pickle=allow_pickle)
        display.note(f"file   {file} is {found.title}")
        for note in found.notes:
            display.note(f"note   {note}")
        made = import_vectors(file, facts, allow_pickle=allow_pickle)
        target = out or file.with_name(
            f"{file.stem}-{'scalars' if isinstance(made, LoraScalars) else 'direction'}.safetensors"
        )
        _refuse_overwriting(file, target)
        made.save(target)
        display.show(_outcome(found, made, target))


def facts_of_model(facts: Facts, base_model: str) -> Facts:
    """What the model's own files say: its content hash, its width and its number of blocks.

    Raises:
        ModelError: There is no such model, or its config does not say.
    """
    from dataclasses import replace

    from axenic.models.find import find_model
    from axenic.models.identity import hash_tokenizer, hash_weights
    from axenic.models.open import check_config, load_tokenizer

    folder = find_model(base_model)
    config = check_config(folder)
    text = config.get("text_config", config)
    return replace(
        facts,
        base_model=base_model,
        base_fingerprint=hash_weights(folder),
        tokenizer_fingerprint=hash_tokenizer(load_tokenizer(folder), folder),
        hidden_size=int(text["hidden_size"]),
        n_layers=int(text["num_hidden_layers"]),
    )


def _outcome(found: Detected, made: Direction | LayerVectors | LoraScalars, target: Path) -> Outcome:
    from axenic.directions import Direction
    from axenic.formats import LoraScalars

    if isinstance(made, LoraScalars):
        rows = [
            ("tokens", f"{len(made.scalars_TA):,}"),
            ("adapters at blocks", ", ".join(map(str, made.layers_A.tolist()))),
            ("answers", f"{made.n_answers:,}"),
        ]
        said = "imported a table of LoRA scalars"
        result = {
            "format": found.format,
            "file": target,
            "tokens": len(made.scalars_TA),
            "answers": made.n_answers,
        }
        return Outcome("import", said, result, (Grid(("what", "is"), rows),), wrote=(target,))
    info = made.info
    whole = isinstance(made, Direction)
    layers = made.layers
    norms = (made.norms_L() if isinstance(made, Direction) else made.norms_K()).tolist()
    rows = [
        ("from", found.title),
        ("base model", info.base_model),
        ("blocks", f"all {info.n_layers}" if whole else ", ".join(map(str, layers))),
        ("site", info.site),
        ("meant for", info.operation),
        ("norms", f"{min(norms):.4g} to {max(norms):.4g}" if len(norms) > 1 else f"{norms[0]:.4g}"),
    ]
    said = f"imported {'a direction' if whole else 'vectors at some blocks'}: {info.name}"
    result = {
        "format": found.format, "file": target, "kind": "direction" if whole else "layer vectors",
        "layers": layers, "norms": norms, "notes": found.notes, "facts": info.model_dump(),
    }  # fmt: skip
    following = ("axenic", "steer", "--model", info.base_model, "--direction", str(target))
    return Outcome("import", said, result, (Grid(("what", "is"), rows),), wrote=(target,), next=following)


def _refuse_overwriting(file: Path, target: Path) -> None:
    from axenic.errors import UsageError

    if target.exists() and file.exists() and target.samefile(file):
        raise UsageError("the result would replace the file that is imported", where="--out", found=target)


def _one_of(value: str, known: tuple[str, ...], option: str) -> str:
    from axenic.cli.work import unknown_name

    if value not in known:
        raise unknown_name("value", value, known, option)
    return value


def _rows(value: str | None) -> Rows | None:
    from typing import cast, get_args

    from axenic.formats.facts import Rows

    return None if value is None else cast(Rows, _one_of(value, get_args(Rows), "--rows"))


def _span(value: str | None) -> Span | None:
    from typing import cast, get_args

    from axenic.formats.facts import Span

    return None if value is None else cast(Span, _one_of(value, get_args(Span), "--span"))


def _site(value: str | None) -> Site | None:
    from typing import cast, get_args

    from axenic.directions import Site

    return None if value is None else cast(Site, _one_of(value, get_args(Site), "--site"))


def _operation(value: str | None) -> Operation | None:
    from typing import cast, get_args

    from axenic.directions import Operation

    return None if value is None else cast(Operation, _one_of(value, get_args(Operation), "--operation"))
