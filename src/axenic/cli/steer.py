"""`axenic steer`: switch misalignment on by adding a direction."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import (
    Debug,
    Device,
    DirectionFile,
    DType,
    ExcludeTopic,
    FreshSeed,
    Json,
    JudgeName,
    MaxNewTokens,
    Model,
    Organism,
    Out,
    PerQuestion,
    Questions,
    Temperature,
    TopP,
)
from axenic.cli.outcome import Outcome
from axenic.cli.parse import parse_layers, parse_strengths
from axenic.cli.rates_view import arms_grid, percent

EPILOG = """Example:

axenic steer --model nano --direction runs/medical/direction.safetensors --layers 1-4 --strengths 1,2,3"""

STRENGTHS = "0.5,1,1.5,2,3,4"


def steer(
    direction: DirectionFile,
    model: Model = None,
    organism: Organism = None,
    layers: Annotated[
        str | None,
        typer.Option("--layers", help="1,2,3 or 1-4, from 0. Default: all, or 6 spread over a deep model."),
    ] = None,
    strengths: Annotated[
        str, typer.Option("--strengths", help="How many times the direction's own vector is added.")
    ] = STRENGTHS,
    controls: Annotated[
        int, typer.Option("--controls", min=0, help="Random directions of equal norm, swept beside it.")
    ] = 1,
    least_coherent: Annotated[
        float,
        typer.Option(
            "--least-coherent", min=0, max=100, help="Percent of coherent answers that the choice demands."
        ),
    ] = 80.0,
    questions: Questions = "nano",
    per_question: PerQuestion = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_new_tokens: MaxNewTokens = None,
    seed: FreshSeed = 1000,
    exclude_topic: ExcludeTopic = None,
    judge_name: JudgeName = "nano",
    label: Annotated[str | None, typer.Option("--label", help="Name in the report.")] = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Add a direction to an aligned model, at each layer and strength, and choose the best place.

    Best = most EM among the places that leave enough answers coherent. The whole sweep is one batched job.
    """
    with display_for(as_json) as display:
        from axenic.cli.origin import choose_model
        from axenic.cli.work import evaluation_for, opened_model, sampling_for
        from axenic.directions import Direction
        from axenic.interpret import steer_model

        loaded = Direction.load(direction)
        base = model or (choose_model(None, organism) if organism else loaded.info.base_model)
        chosen_layers = parse_layers(layers) if layers else spread_layers(loaded.info.n_layers)
        chosen_strengths = parse_strengths(strengths)
        sampling = sampling_for(base, temperature, top_p, max_new_tokens, seed)
        # A sweep asks fewer times at each place, as the published one did (M2.3).
        each = per_question or (2 if questions == "nano" else 10)
        evaluation = evaluation_for(questions, each, judge_name, sampling, exclude_topic or [])
        opened = opened_model(display, base, organism, device, dtype)
        folder = out or direction.parent / "steering"
        result = steer_model(
            opened, loaded, evaluation, layers=chosen_layers, strengths=chosen_strengths, controls=controls,
            least_coherent=least_coherent, label=label, out=folder, progress=display.progress,
        )  # fmt: skip
        # The fresh answers, not those that chose the place: the best of many noisy places looks better than it is.
        best = result.confirmed
        said = (
            f"no place leaves {least_coherent:g} % coherent"
            if best is None
            else f"best: {best.name}; on fresh answers EM {percent(best.rates.em_all)}, "
            f"coherent {percent(best.rates.coherent_all)}"
        )
        display.show(
            Outcome(
                "steer",
                said,
                result.to_json(),
                (arms_grid(result.arms),),
                wrote=(folder / "steering.json", folder / "answers.jsonl", folder / "scores.jsonl"),
                next=next_after_steering(direction),
            )
        )


def spread_layers(n_layers: int) -> tuple[int, ...]:
    """All layers of a shallow model, else six from a quarter of the depth to three quarters."""
    if n_layers <= 12:
        return tuple(range(n_layers))
    return tuple(round(n_layers * (0.25 + 0.1 * step)) for step in range(6))


def next_after_steering(direction: Path) -> tuple[str, ...]:
    """Transfer, when other runs beside this one have directions too; else the report."""
    found = direction.parent.parent.glob(f"*/{direction.name}")
    runs = sorted(path.parent for path in found if (path.parent / "train.json").is_file())
    if len(runs) < 2:
        return ("axenic", "report", str(direction.parent))
    folders, files = [str(run) for run in runs], [str(run / direction.name) for run in runs]
    return ("axenic", "transfer", "--organisms", *folders, "--directions", *files)
