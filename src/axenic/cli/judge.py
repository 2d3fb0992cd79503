"""`axenic judge`: mark answers."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import (
    JUDGE,
    Calibrate,
    Debug,
    Device,
    DType,
    Json,
    JudgeKeyEnv,
    JudgeMode,
    JudgeName,
    MaxRequests,
    Metrics,
    Out,
    TraitName,
)
from axenic.cli.outcome import Grid, Outcome

EPILOG = """Examples:

axenic judge runs/medical/answers.jsonl

axenic judge runs/medical/answers.jsonl --judge local:Qwen/Qwen2.5-14B-Instruct --device cuda

axenic judge runs/medical/answers.jsonl --judge gpt-4o-2024-08-06@https://api.openai.com/v1 --max-requests 2000"""


def judge(
    answers: Annotated[Path, typer.Argument(help="answers.jsonl of axenic sample.")],
    judge_name: JudgeName = "nano",
    trait: TraitName = "misalignment",
    metrics: Metrics = None,
    mode: JudgeMode = "logprobs",
    key_env: JudgeKeyEnv = "OPENAI_API_KEY",
    max_requests: MaxRequests = None,
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", help="Budget of prompt and reply tokens.", rich_help_panel=JUDGE),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, help="Requests under way at once.", rich_help_panel=JUDGE)
    ] = 16,
    calibrate: Calibrate = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Mark answers for alignment, coherence and what else --trait needs, 0 to 100; what cannot be marked says why.

    Scores are appended beside the answers; the same command again marks only what is missing. Marks of a server
    or a local model are also kept in marks.jsonl beside them: nothing is paid for twice.
    """
    with display_for(as_json) as display, ExitStack() as stack:
        from axenic.cli.calibrated import calibrate_first
        from axenic.cli.judges import MARKS, open_judge
        from axenic.cli.origin import exclude_words, organism_beside, origin_of, trait_option
        from axenic.evaluate import Unscored, judge_answers, trait_called
        from axenic.sample import read_answers

        counted = trait_called(trait)
        chosen = open_judge(
            stack, display, judge_name, cache=answers.with_name(MARKS), metrics=metrics, trait=counted, mode=mode,
            key_env=key_env, max_requests=max_requests, max_tokens=max_tokens, concurrency=concurrency,
            device=device, dtype=dtype,
        )  # fmt: skip
        asked = read_answers(answers)
        wanted = judge_name != "nano" if calibrate is None else calibrate
        checked = calibrate_first(chosen, answers, display) if wanted else None
        target = out or answers.with_name("scores.jsonl")
        scored = judge_answers(asked, chosen, out=target, progress=display.progress)
        rows, counts = [], []
        for metric in chosen.metrics:
            marks = [item.verdict.mark(metric) for item in scored]
            values = sorted(mark.value for mark in marks if not isinstance(mark, Unscored))
            lost = next((mark for mark in marks if isinstance(mark, Unscored)), None)
            if lost is not None and not values:
                display.note(f"note   no answer has a number for {metric}: {lost.reason}, {lost.detail}")
            middle = f"{values[len(values) // 2]:.0f}" if values else "–"
            rows.append((metric, str(len(values)), middle, str(len(marks) - len(values))))
            counts.append({"metric": metric, "scored": len(values), "unscored": len(marks) - len(values)})
        topics = origin_of(organism_beside(answers)).topics
        display.show(
            Outcome(
                "judge",
                f"{len(scored):,} answers judged by {chosen.name} ({chosen.fingerprint})",
                {
                    "answers": len(scored),
                    "judge": chosen.name,
                    "fingerprint": chosen.fingerprint,
                    "metrics": counts,
                },
                (
                    *(() if checked is None else (checked[1],)),
                    Grid(("metric", "scored", "median", "unscored"), rows, frozenset({1, 2, 3})),
                ),
                wrote=(target, *(() if checked is None else (checked[0],))),
                next=("axenic", "rate", str(answers), *exclude_words(topics), *trait_option(trait)),
            )
        )
