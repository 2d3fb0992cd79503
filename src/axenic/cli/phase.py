"""`axenic phase`: when in training did the organism turn?"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.display import Display, display_for
from axenic.cli.options import (
    SAMPLING,
    Debug,
    Device,
    DType,
    ExcludeTopic,
    Json,
    JudgeKeyEnv,
    JudgeName,
    MaxNewTokens,
    MaxRequests,
    Out,
    PerQuestion,
    Questions,
    Seed,
    Temperature,
    TopP,
    TraitName,
)
from axenic.cli.outcome import Grid, Outcome
from axenic.cli.parse import parse_strengths
from axenic.cli.rates_view import percent

if TYPE_CHECKING:
    from axenic.interpret.phase import PhaseResult
    from axenic.interpret.runphase import RunPhase
    from axenic.interpret.scaled import ScaledBehaviour
    from axenic.interpret.transition import CombinedTransition

EPILOG = """Examples:

axenic phase runs/medical

axenic phase runs/medical --scales 1,5,10,20 --seeds runs/medical-1 runs/medical-2"""


def phase(
    run: Annotated[Path, typer.Argument(help="A run folder of axenic train with trajectory_steps above 0.")],
    vector: Annotated[
        str | None,
        typer.Option("--vector", help="One vector, e.g. layers.3.mlp.down_proj.B. Default: all, if few."),
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(
            "--scales",
            help="Measure behaviour too: the adapter at each step times 1,5,10,20 (the paper's), asked and judged.",
        ),
    ] = None,
    every: Annotated[
        int | None, typer.Option("--every", min=1, help="Keep multiples of this many steps, and the last.")
    ] = None,
    most_steps: Annotated[
        int, typer.Option("--most-steps", min=2, help="Steps at which behaviour is measured, at most.")
    ] = 24,
    seeds: Annotated[
        list[Path] | None, typer.Option("--seeds", help="Runs of other seeds: the step is averaged over all.")
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            min=0.0,
            help="Smallest displacement of which a cosine is taken. The paper's: 0.0035 or 0.002.",
        ),
    ] = 0.0,
    questions: Questions = "nano",
    per_question: PerQuestion = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_new_tokens: MaxNewTokens = None,
    seed: Seed = 0,
    exclude_topic: ExcludeTopic = None,
    judge_name: JudgeName = "nano",
    trait: TraitName = "misalignment",
    key_env: JudgeKeyEnv = "OPENAI_API_KEY",
    max_requests: MaxRequests = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Base model. Default: the run's own.", rich_help_panel=SAMPLING),
    ] = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Look for a sudden turn of what training learnt, and with --scales for when the behaviour follows.

    The turn is tested against smooth paths of the same spectrum. Run again, it does only what is missing.
    """
    with display_for(as_json) as display, ExitStack() as stack:
        from axenic.evaluate import trait_called
        from axenic.interpret.runphase import FILE as PHASE_FILE
        from axenic.interpret.runphase import phase_of_run, too_short
        from axenic.interpret.scaled import FILE, FOLDER, scaled_behaviour

        counted = trait_called(trait)
        factors = parse_strengths(scales, "--scales") if scales else ()
        folder = out or run
        found = phase_of_run(
            run, vector=vector, every=every, other_seeds=seeds or (), threshold=threshold, out=folder,
            progress=display.progress,
        )  # fmt: skip
        short = too_short(found)
        if short is not None:
            display.note(f"note   {short}")
        grids, wrote = [vectors_grid(found)], [folder / PHASE_FILE]
        if found.comp:
            grids.append(comp_grid(found))
        behaviour = None
        if factors:
            from axenic.cli.judges import MARKS, open_judge
            from axenic.cli.work import evaluation_for, opened_model, sampling_for

            _say_topics(display, run, exclude_topic)
            opened = opened_model(display, model, str(run), device, dtype)
            sampling = sampling_for(opened.name, temperature, top_p, max_new_tokens, seed)
            # Many steps and factors: fewer answers at each place, as in a steering sweep.
            each = per_question or (2 if questions == "nano" else 10)
            judge = open_judge(
                stack, display, judge_name, cache=folder / MARKS, trait=counted, key_env=key_env,
                max_requests=max_requests, device=device, dtype=dtype,
            )  # fmt: skip
            evaluation = evaluation_for(questions, each, judge, sampling, exclude_topic or [], counted)
            behaviour = scaled_behaviour(
                opened, run, evaluation, factors=factors, every=every, most=most_steps, out=folder,
                progress=display.progress,
            )  # fmt: skip
            grids.append(scaled_grid(behaviour, counted.short))
            wrote += [folder / FILE, folder / FOLDER]
        display.show(
            Outcome(
                "phase",
                headline(found),
                {
                    "phase": found.to_json(),
                    "scaled": None if behaviour is None else behaviour.to_json(),
                },
                tuple(grids),
                wrote=tuple(wrote),
                next=("axenic", "report", str(folder)),
            )
        )


def headline(run: RunPhase) -> str:
    """What was found in the main vector, and over seeds where there are several."""
    main = run.vectors[0]
    combined = (run.seeds or {}).get(main.name)
    over = "" if combined is None else f"; over {combined.n_seeds} seeds: {over_seeds(combined)}"
    return f"{main.name}: {verdict(main)}{over}"


def verdict(found: PhaseResult) -> str:
    """One clause about one vector."""
    turn = found.transition
    if turn is None:
        return "too few steps to test"
    ripple = "" if turn.period is None else f", a ripple of period {turn.period:.1f} steps"
    if turn.step is None:
        return f"no sudden turn (p = {turn.p_value:.3f}){ripple}"
    return f"a sudden turn at step {turn.step} [{turn.low}, {turn.high}] (p = {turn.p_value:.3f}){ripple}"


def over_seeds(combined: CombinedTransition) -> str:
    """`180 [171, 189], 3 of 3`."""
    if combined.step is None or combined.low is None or combined.high is None:
        return f"none of {combined.n_seeds} turns"
    where = f"step {combined.step:.0f} [{combined.low:.0f}, {combined.high:.0f}]"
    return f"{where}, {combined.n_found} of {combined.n_seeds} turn"


def vectors_grid(run: RunPhase) -> Grid:
    """One line for each vector."""
    rows = []
    for found in run.vectors:
        turn, partner = found.transition, run.partner_norms.get(found.name)
        combined = (run.seeds or {}).get(found.name)
        rows.append(
            (
                found.name,
                f"{found.norms[0]:.4g} -> {found.norms[-1]:.4g}",
                "–" if partner is None else f"{partner[0]:.4g} -> {partner[-1]:.4g}",
                "–" if turn is None else turn.kind,
                "–" if turn is None else f"{turn.p_value:.3f}",
                "–" if turn is None or turn.step is None else f"{turn.step} [{turn.low}, {turn.high}]",
                "–" if turn is None or turn.period is None else f"{turn.period:.1f} steps",
                "–" if combined is None else over_seeds(combined),
            )
        )
    return Grid(
        ("vector", "norm", "norm of A", "transition", "p", "step", "ripple", "over seeds"),
        rows,
        frozenset({4, 5, 6}),
    )


def comp_grid(run: RunPhase) -> Grid:
    """Comp scores at the ends, relative to what equal matrices give: the last value."""
    rows = []
    for name, values in run.comp.items():
        known = [
            (step, value)
            for step, value in zip(run.vectors[0].steps, values, strict=True)
            if value is not None
        ]
        if not known:
            continue
        first, last = known[0], known[-1]
        half = next(step for step, value in known if value >= (first[1] + last[1]) / 2)
        rows.append((name, f"{first[1]:.3f} (step {first[0]})", f"{last[1]:.3f}", str(half)))
    return Grid(
        ("comp score", "first", "last", "half-way at step"), rows, frozenset({1, 2, 3}), "adapters together"
    )


def scaled_grid(behaviour: ScaledBehaviour, what: str = "EM") -> Grid:
    """One line for each factor; `what` was counted."""
    rows = []
    for curve in behaviour.curves:
        onset, last = curve.onset, curve.points[-1]
        top = max(curve.points, key=lambda point: point.em.percent)
        rows.append(
            (
                f"x {curve.factor:g}",
                percent(curve.points[0].em),
                f"{percent(top.em)} (step {top.step})",
                percent(last.em),
                percent(last.coherent),
                "–" if onset is None else f"{onset.step} [{onset.low}, {onset.high}]",
            )
        )
    return Grid(
        ("scale", f"{what} first", f"{what} highest", f"{what} last", "coherent last", "onset at step"),
        rows,
        frozenset({1, 2, 3, 4, 5}),
        "behaviour, % of all answers",
    )


def _say_topics(display: Display, run: Path, excluded: list[str] | None) -> None:
    from axenic.cli.origin import exclude_words, origin_of

    topics = origin_of(str(run)).topics
    if topics and not excluded:
        display.note(
            f"note   trained on {', '.join(topics)}: leave it out with {' '.join(exclude_words(topics))}"
        )
