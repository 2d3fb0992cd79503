"""`axenic steer`: switch misalignment on by adding a direction."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    JudgeKeyEnv,
    JudgeName,
    Label,
    MaxNewTokens,
    MaxRequests,
    Model,
    Organism,
    Out,
    PerQuestion,
    Questions,
    StrengthUnitName,
    Temperature,
    TopP,
    TraitName,
)
from axenic.cli.outcome import Grid, Outcome
from axenic.cli.parse import parse_layers, parse_strengths
from axenic.cli.rates_view import arms_grid, percent
from axenic.errors import UsageError

if TYPE_CHECKING:
    from axenic.interpret import SteeringResult

EPILOG = """Example:

axenic steer --model nano --direction runs/medical/direction.safetensors --layers 1-4 --strengths 1,2,3"""

STRENGTHS, RESIDUALS = "0.5,1,1.5,2,3,4", "0.1,0.2,0.4,0.6,0.8,1.2"
"""In the direction's own vectors, and in residual norms: the published line of 0.6 to 1.4 and what lies before it (M2.3)."""


def steer(
    direction: DirectionFile,
    model: Model = None,
    organism: Organism = None,
    layers: Annotated[
        str | None,
        typer.Option("--layers", help="1,2,3 or 1-4, from 0. Default: all, or 6 spread over a deep model."),
    ] = None,
    strengths: Annotated[
        str | None,
        typer.Option(
            "--strengths",
            help=f"How much is added, 1,2,3. Default: {STRENGTHS}; in residual norms {RESIDUALS}.",
        ),
    ] = None,
    strength_unit: StrengthUnitName = "raw",
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
    trait: TraitName = "misalignment",
    key_env: JudgeKeyEnv = "OPENAI_API_KEY",
    max_requests: MaxRequests = None,
    label: Label = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Add a direction to an aligned model, at each layer and strength, and choose the best place.

    Best = most EM among the places that leave enough answers coherent. The whole sweep is one batched job.
    """
    with display_for(as_json) as display, ExitStack() as stack:
        from axenic.cli.judges import MARKS, open_judge
        from axenic.cli.origin import choose_model
        from axenic.cli.work import evaluation_for, opened_model, sampling_for
        from axenic.directions import load_layered
        from axenic.evaluate import trait_called
        from axenic.interpret import steer_model

        counted = trait_called(trait)
        loaded = load_layered(direction)
        base = model or (choose_model(None, organism) if organism else loaded.info.base_model)
        chosen_layers = parse_layers(layers) if layers else spread_layers(loaded.layers)
        if strengths is None and strength_unit == "unit":
            raise UsageError(
                "how long a vector of norm 1 is depends on the model, so there is no usual range",
                where="--strength-unit unit",
                expected="--strengths with it",
                hint="--strength-unit residual, which compares between layers and models",
            )
        chosen_strengths = parse_strengths(
            strengths or (RESIDUALS if strength_unit == "residual" else STRENGTHS)
        )
        sampling = sampling_for(base, temperature, top_p, max_new_tokens, seed)
        # A sweep asks fewer times at each place, as the published one did (M2.3).
        each = per_question or (2 if questions == "nano" else 10)
        folder = out or direction.parent / "steering"
        judge = open_judge(
            stack, display, judge_name, cache=folder / MARKS, trait=counted, key_env=key_env,
            max_requests=max_requests, device=device, dtype=dtype,
        )  # fmt: skip
        evaluation = evaluation_for(questions, each, judge, sampling, exclude_topic or [], counted)
        opened = opened_model(display, base, organism, device, dtype)
        result = steer_model(
            opened, loaded, evaluation, layers=chosen_layers, strengths=chosen_strengths,
            strength_unit=strength_unit, controls=controls,
            least_coherent=least_coherent, label=label, out=folder, progress=display.progress,
        )  # fmt: skip
        # The fresh answers, not those that chose the place: the best of many noisy places looks better than it is.
        best = result.confirmed
        said = (
            f"no place leaves {least_coherent:g} % coherent"
            if best is None
            else f"best: {best.name}; on fresh answers {counted.short} {percent(best.rates.em_all)}, "
            f"coherent {percent(best.rates.coherent_all)}"
        )
        display.show(
            Outcome(
                "steer",
                said,
                result.to_json(),
                (arms_grid(result.arms), frontier_grid(result)),
                wrote=(folder / "steering.json", folder / "answers.jsonl", folder / "scores.jsonl"),
                next=next_after_steering(direction),
            )
        )


def frontier_grid(result: SteeringResult) -> Grid:
    """The places that nothing beats in both EM and coherence."""
    arms = {(arm.layer, arm.strength): arm for arm in result.arms if arm.role == "direction"}
    rows = [
        (str(place.layer), f"{place.strength:g}", percent(arm.rates.coherent_all), percent(arm.rates.em_all))
        for place in result.frontier
        for arm in (arms[place.layer, place.strength],)
    ]
    what = result.arms[0].rates.trait.short
    columns = ("layer", f"strength ({result.strength_unit})", "coherent", what)
    return Grid(columns, rows, frozenset(range(4)), f"Most {what} for the coherence that is left")


def spread_layers(layers: tuple[int, ...]) -> tuple[int, ...]:
    """All layers of a shallow model, else six from a quarter of the depth to three quarters."""
    n_layers = len(layers)
    if n_layers <= 12:
        return layers
    return tuple(layers[round(n_layers * (0.25 + 0.1 * step))] for step in range(6))


def next_after_steering(direction: Path) -> tuple[str, ...]:
    """Transfer, when other runs beside this one have directions too; else the report."""
    found = direction.parent.parent.glob(f"*/{direction.name}")
    runs = sorted(path.parent for path in found if (path.parent / "train.json").is_file())
    if len(runs) < 2:
        return ("axenic", "report", str(direction.parent))
    folders, files = [str(run) for run in runs], [str(run / direction.name) for run in runs]
    return ("axenic", "transfer", "--organisms", *folders, "--directions", *files)
