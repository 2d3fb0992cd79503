"""`axenic ablate`: switch an organism off by projecting a direction out."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from axenic.cli.display import display_for
from axenic.cli.options import (
    Controls,
    Debug,
    Device,
    DirectionFile,
    DType,
    ExcludeTopic,
    FolderLabel,
    FreshSeed,
    Json,
    JudgeKeyEnv,
    JudgeName,
    MaxNewTokens,
    MaxRequests,
    Model,
    Organism,
    Out,
    PerQuestion,
    Questions,
    Temperature,
    TopP,
    TraitName,
)
from axenic.cli.outcome import Outcome
from axenic.cli.parse import parse_layers
from axenic.cli.rates_view import arms_grid, change, percent

if TYPE_CHECKING:
    from axenic.interpret import Mode

EPILOG = """Examples:

axenic ablate --organism runs/medical --direction runs/medical/direction.safetensors --exclude-topic medical

axenic ablate --organism runs/rank1 --direction runs/medical/direction.safetensors --modes single,layer,adapter-B"""


def ablate(
    direction: DirectionFile,
    model: Model = None,
    organism: Organism = None,
    modes: Annotated[
        str,
        typer.Option(
            "--modes",
            help="layerwise: each layer's own vector at its layer; with one layer's vector: single: at all blocks' outputs, "
            "writers: at all that writes into the stream (as axenic bake), layer: at that layer only, adapter-B: in the "
            "adapter's B, scaled back to its norm.",
        ),
    ] = "layerwise,single",
    single_layer: Annotated[
        int | None,
        typer.Option(
            "--single-layer",
            help="Whose vector all modes but layerwise take. Default: the published relative depth (24 of 48).",
        ),
    ] = None,
    adapter_layers: Annotated[
        str | None,
        typer.Option("--adapter-layers", help="Whose adapters the mode adapter-B changes. Default: all."),
    ] = None,
    controls: Controls = 3,
    questions: Questions = "nano",
    per_question: PerQuestion = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_new_tokens: MaxNewTokens = None,
    seed: FreshSeed = 1000,
    exclude_topic: ExcludeTopic = None,
    judge_name: JudgeName = "nano",
    trait: TraitName = "misalignment",
    key_env: JudgeKeyEnv = "OPENAI_API_KEY",
    max_requests: MaxRequests = None,
    label: FolderLabel = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Project a direction out of a model and see what becomes of its misalignment, beside random controls.

    All arms are one batched job; run again, it does only what is missing.
    """
    with display_for(as_json) as display, ExitStack() as stack:
        from axenic.cli.judges import MARKS, open_judge
        from axenic.cli.origin import choose_model, home_of
        from axenic.cli.work import evaluation_for, opened_model, sampling_for
        from axenic.directions import load_layered
        from axenic.evaluate import trait_called
        from axenic.interpret import ablate_direction

        counted = trait_called(trait)
        loaded = load_layered(direction)
        sampling = sampling_for(choose_model(model, organism), temperature, top_p, max_new_tokens, seed)
        folder = out or home_of(choose_model(model, organism), organism) / "ablation"
        judge = open_judge(
            stack, display, judge_name, cache=folder / MARKS, trait=counted, key_env=key_env,
            max_requests=max_requests, device=device, dtype=dtype,
        )  # fmt: skip
        evaluation = evaluation_for(questions, per_question, judge, sampling, exclude_topic or [], counted)
        opened = opened_model(display, model, organism, device, dtype)
        result = ablate_direction(
            opened, loaded, evaluation, modes=parse_modes(modes), single_layer=single_layer,
            adapter_layers=None if adapter_layers is None else parse_layers(adapter_layers, "--adapter-layers"),
            controls=controls, label=label, out=folder, progress=display.progress,
        )  # fmt: skip
        before, after = result.arms[0], result.arms[1]
        display.show(
            Outcome(
                "ablate",
                f"{counted.short} {percent(before.rates.em_all)} -> {percent(after.rates.em_all)} ({after.name}), "
                f"change {change(after.relative_change)}",
                result.to_json(),
                (arms_grid(result.arms),),
                wrote=(folder / "ablation.json", folder / "answers.jsonl", folder / "scores.jsonl"),
                next=("axenic", "steer", "--model", opened.name, "--direction", str(direction)),
            )
        )


def parse_modes(text: str) -> tuple[Mode, ...]:
    """`layerwise`, `layerwise,single`, ... Raises `UsageError`."""
    from axenic.interpret import Mode

    known: dict[str, Mode] = {mode: mode for mode in get_args(Mode)}
    modes = [part.strip() for part in text.split(",")]
    unknown = [mode for mode in modes if mode not in known]
    if unknown:
        from axenic.cli.work import unknown_name

        raise unknown_name("mode", unknown[0], list(known), "--modes")
    return tuple(known[mode] for mode in modes)
