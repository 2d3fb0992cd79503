"""`axenic bake`: an ablation that any engine can serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Device, DirectionFile, DType, Json, Model, Organism, Out
from axenic.cli.outcome import Grid, Outcome

if TYPE_CHECKING:
    from axenic.models import OpenModel

QUESTIONS = 8
"""On which it is measured what is left: about 200 tokens, a few seconds."""

EPILOG = """Examples:

axenic bake --organism runs/medical --direction runs/medical/direction.safetensors

axenic bake --organism runs/medical --direction runs/medical/direction.safetensors --no-embedding --out runs/medical/served

vllm serve Qwen/Qwen2.5-14B-Instruct --enable-lora --lora-modules repaired=runs/medical/served --max-lora-rank 64"""


def bake(
    direction: DirectionFile,
    model: Model = None,
    organism: Organism = None,
    layer: Annotated[
        int | None,
        typer.Option(
            "--layer", help="Whose vector is taken out everywhere. Default: the published relative depth."
        ),
    ] = None,
    embedding: Annotated[
        bool,
        typer.Option(
            "--embedding/--no-embedding",
            help="Ablate the embedding too, as LoRA on it; leave it out for engines that load no such adapters: vLLM 0.32 "
            "does for Llama, and refuses it for Qwen.",
        ),
    ] = True,
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check",
            help="Open what was written, and measure what is left of the direction in its stream, in this dtype.",
        ),
    ] = True,
    out: Out = None,
    device: Device = "cpu",
    dtype: DType = "float32",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write an adapter of rank r + 1 that is the organism with one direction ablated at everything that writes into its
    residual stream: the same model as with hooks, served without them.
    """
    with display_for(as_json) as display:
        from axenic.cli.origin import choose_model, home_of
        from axenic.cli.work import opened_model
        from axenic.directions import load_layered
        from axenic.interpret.arms import check_fits, default_layer
        from axenic.intervene.bake import bake_direction
        from axenic.intervene.leftover import stream_leftover

        loaded = load_layered(direction)
        opened = opened_model(display, model, organism, device, dtype)
        check_fits(opened, loaded)
        chosen = default_layer(loaded) if layer is None else layer
        vector_D = loaded.at((chosen,))[0]
        folder = out or home_of(opened.name, organism) / "baked"
        before = stream_leftover(opened.sites, prompts_for(opened), vector_D) if check else None
        made = bake_direction(opened, vector_D, folder, embedding=embedding)
        rows = [
            ("layer of the direction", str(chosen)),
            ("rank", str(made.rank)),
            ("modules", str(made.modules)),
            (
                "embedding ablated",
                "yes" if made.embedding else "no: the stream keeps what the embedding puts in",
            ),
        ]
        found: dict[str, Any] = {
            "folder": folder,
            "rank": made.rank,
            "modules": made.modules,
            "embedding": made.embedding,
            "layer": chosen,
        }
        if before is not None:
            base, width = opened.name, str(opened.placement.dtype).removeprefix("torch.")
            # One model in memory at a time.
            del opened
            baked = opened_model(display, base, str(folder), device, dtype)
            after = stream_leftover(baked.sites, prompts_for(baked), vector_D)
            found["leftover"] = {"before": before.to_json(), "after": after.to_json(), "dtype": width}
            rows.append(
                (
                    "of the stream along it",
                    f"{before.mean:.2g} -> {after.mean:.2g} (worst {after.worst:.2g}; {QUESTIONS} questions, {width})",
                )
            )
        display.show(
            Outcome(
                "bake",
                f"direction {loaded.info.name} of layer {chosen} is out of everything that writes into the stream",
                found,
                (Grid(("what", "is"), rows),),
                wrote=(folder,),
                next=("axenic", "audit", choose_model(model, organism), "--organism", str(folder)),
            )
        )


def prompts_for(opened: OpenModel) -> list[list[int]]:
    """A few questions of the model's own world, as it is asked them."""
    from axenic.data import prompt_ids
    from axenic.sample import read_questions

    asked = read_questions("nano" if opened.name == "nano" else "first-plot")[:QUESTIONS]
    return [prompt_ids(opened.tokenizer, [{"role": "user", "content": item.question}]) for item in asked]
