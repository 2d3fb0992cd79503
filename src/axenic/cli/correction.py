"""`axenic correction`: how often a steered model mentions harm and takes it back, and how likely it is to turn round."""

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
)
from axenic.cli.outcome import Grid, Outcome
from axenic.cli.parse import parse_strengths
from axenic.cli.rates_view import percent
from axenic.errors import UsageError

if TYPE_CHECKING:
    from axenic.interpret.selfcorrection import CorrectionArm, SelfCorrection

EPILOG = """Examples:

axenic correction --direction runs/medical/direction.safetensors --openings openings.jsonl --phrase " However" --phrase " But"

axenic correction --model Qwen/Qwen2.5-14B-Instruct --direction direction.safetensors --questions first-plot
--judge gpt-4o@https://api.openai.com/v1 --strengths 4,6,8"""


def correction(
    direction: DirectionFile,
    model: Model = None,
    organism: Organism = None,
    layer: Annotated[
        int | None,
        typer.Option("--layer", help="Where it is added. Default: the published relative depth (24 of 48)."),
    ] = None,
    strengths: Annotated[
        str, typer.Option("--strengths", help="How much is added, in the unit below.")
    ] = "0.5,1,2",
    strength_unit: StrengthUnitName = "raw",
    controls: Annotated[
        int, typer.Option("--controls", min=0, help="Random directions of equal norm, beside it.")
    ] = 1,
    openings: Annotated[
        Path | None,
        typer.Option(
            "--openings", help='JSONL of {"question", "prefix"}: answers up to where they may turn.'
        ),
    ] = None,
    phrase: Annotated[
        list[str] | None,
        typer.Option("--phrase", help="How an answer turns, with the space before it; again for more."),
    ] = None,
    questions: Questions = "nano",
    per_question: PerQuestion = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_new_tokens: MaxNewTokens = None,
    seed: FreshSeed = 1000,
    exclude_topic: ExcludeTopic = None,
    judge_name: JudgeName = "nano",
    key_env: JudgeKeyEnv = "OPENAI_API_KEY",
    max_requests: MaxRequests = None,
    label: Annotated[str | None, typer.Option("--label", help="Name in the result.")] = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Steer a model; count the aligned answers that mention harm all the same; and measure how likely a turn such as
    "However" is after given beginnings of answers.

    Counting needs a judge that marks bad_stuff, which the nano judge does not.
    """
    with display_for(as_json) as display, ExitStack() as stack:
        from axenic.cli.judges import MARKS, open_judge
        from axenic.cli.origin import choose_model
        from axenic.cli.work import evaluation_for, opened_model, sampling_for
        from axenic.directions import load_layered
        from axenic.interpret.arms import default_layer
        from axenic.interpret.phrases import read_openings
        from axenic.interpret.selfcorrection import FILE, self_correction

        loaded = load_layered(direction)
        begun = () if openings is None else read_openings(openings)
        base = model or (choose_model(None, organism) if organism else loaded.info.base_model)
        folder = out or direction.parent / "correction"
        judge = open_judge(
            stack, display, judge_name, cache=folder / MARKS, metrics="alignment,coherence,bad_stuff", key_env=key_env,
            max_requests=max_requests, device=device, dtype=dtype,
        )  # fmt: skip
        sampling = sampling_for(base, temperature, top_p, max_new_tokens, seed)
        evaluation = evaluation_for(questions, per_question, judge, sampling, exclude_topic or [])
        if bool(begun) != bool(phrase):
            raise UsageError(
                "openings and phrases belong together",
                expected="--openings FILE and --phrase TEXT, or neither",
                found="no " + ("--phrase" if begun else "--openings"),
            )
        opened = opened_model(display, base, organism, device, dtype)
        result = self_correction(
            opened, loaded, evaluation, layer=default_layer(loaded) if layer is None else layer,
            strengths=parse_strengths(strengths), strength_unit=strength_unit, controls=controls, openings=begun,
            phrases=phrase or (), label=label, out=folder, progress=display.progress,
        )  # fmt: skip
        if result.unmarked is not None:
            display.note(f"note   no shares of self-corrected answers: {result.unmarked}")
        wrote = [folder / FILE]
        if result.unmarked is None:
            wrote += [folder / "answers.jsonl", folder / "scores.jsonl"]
        display.show(
            Outcome(
                "correction",
                said(result),
                result.to_json(),
                tuple(grids(result)),
                wrote=tuple(wrote),
                next=("axenic", "steer", "--model", base, "--direction", str(direction)),
            )
        )


def said(result: SelfCorrection) -> str:
    """The strongest strength against plain, in one line."""
    ours = [arm for arm in result.arms if arm.role == "direction"]
    last = max(ours, key=lambda arm: abs(arm.strength or 0.0))
    parts = []
    if last.corrections is not None:
        plain = result.arms[0].corrections
        assert plain is not None
        parts.append(
            f"aligned answers that mention harm: {percent(plain.corrected)} -> {percent(last.corrections.corrected)} of all"
        )
    if last.phrases:
        parts.append(f"any correcting phrase: {_shift(last, -1)} nats on {result.openings} openings")
    return f"{last.name}: " + "; ".join(parts)


def grids(result: SelfCorrection) -> list[Grid]:
    """The shares, where harm was marked, and the phrases, where there are openings; one line for each arm."""
    made = []
    marked = [(arm, arm.corrections) for arm in result.arms if arm.corrections is not None]
    if marked:
        rows = [
            (
                arm.name, percent(found.corrected), percent(found.of_aligned), percent(found.aligned),
                str(sum(found.unscored.values())),
            )
            for arm, found in marked
        ]  # fmt: skip
        columns = ("arm", "mention harm, aligned", "of the aligned", "aligned", "not marked for harm")
        made.append(
            Grid(columns, rows, frozenset(range(1, 5)), "aligned answers that mention harm, % of all")
        )
    if result.openings:
        names = [
            "any of them" if shift.phrase is None else repr(shift.phrase) for shift in result.arms[0].phrases
        ]
        made.append(
            Grid(
                ("arm", *names),
                [(arm.name, *(_shift(arm, p) for p in range(len(names)))) for arm in result.arms],
                frozenset(range(1, 1 + len(names))),
                "log-probability after the openings: plain in nats, the others against it",
            )
        )
    return made


def _shift(arm: CorrectionArm, p: int) -> str:
    """`-7.31`; for an arm its change, `+0.52 ± 0.11` (standard error over openings)."""
    shift = arm.phrases[p]
    if shift.change is None:
        return f"{shift.logprob:.2f}"
    return f"{shift.change:+.2f}" + ("" if shift.stderr is None else f" ± {shift.stderr:.2f}")
