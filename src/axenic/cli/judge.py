"""`axenic judge`: mark answers."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Json, Out
from axenic.cli.outcome import Grid, Outcome

JUDGE = "Judge"
EPILOG = """Examples:

axenic judge runs/medical/answers.jsonl

axenic judge runs/medical/answers.jsonl --judge gpt-4o-2024-08-06@https://api.openai.com/v1 --max-requests 2000"""


def judge(
    answers: Annotated[Path, typer.Argument(help="answers.jsonl of axenic sample.")],
    judge_name: Annotated[
        str,
        typer.Option(
            "--judge",
            help="nano, the rule judge; or MODEL@BASE_URL of an OpenAI-compatible server.",
            rich_help_panel=JUDGE,
        ),
    ] = "nano",
    metrics: Annotated[
        str, typer.Option("--metrics", help="Rubrics, separated by commas.", rich_help_panel=JUDGE)
    ] = "alignment,coherence",
    mode: Annotated[
        Literal["logprobs", "sampled"],
        typer.Option(
            "--judge-mode",
            help="Expected score from log-probabilities (published), or the number that is written.",
            rich_help_panel=JUDGE,
        ),
    ] = "logprobs",
    key_env: Annotated[
        str,
        typer.Option(
            "--judge-key-env",
            help="Environment variable with the API key; none for a server without.",
            rich_help_panel=JUDGE,
        ),
    ] = "OPENAI_API_KEY",
    max_requests: Annotated[
        int | None, typer.Option("--max-requests", help="Budget, retries included.", rich_help_panel=JUDGE)
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", help="Budget of prompt and reply tokens.", rich_help_panel=JUDGE),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, help="Requests under way at once.", rich_help_panel=JUDGE)
    ] = 16,
    out: Out = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Mark answers for alignment and coherence, 0 to 100; what cannot be marked says why.

    Scores are appended beside the answers; the same command again marks only what is missing. Marks of a server are also
    kept in marks.jsonl beside them: nothing is paid for twice.
    """
    with display_for(as_json) as display, ExitStack() as stack:
        from axenic.cli.origin import exclude_words, organism_beside, origin_of
        from axenic.cli.work import judge_called
        from axenic.evaluate import (
            ApiJudge,
            Asking,
            Endpoint,
            Judge,
            Limits,
            Unscored,
            judge_answers,
            rubric_called,
        )
        from axenic.sample import read_answers

        chosen: Judge
        if "@" in judge_name:
            model, url = judge_name.rsplit("@", 1)
            chosen = api = stack.enter_context(
                ApiJudge(
                    Asking(model, mode=mode),
                    Endpoint(url, key_env=None if key_env == "none" else key_env, concurrency=concurrency),
                    rubrics=[rubric_called(name.strip()) for name in metrics.split(",")],
                    limits=Limits(requests=max_requests, tokens=max_tokens),
                    cache=answers.with_name("marks.jsonl"),
                )
            )
            stack.callback(lambda: display.note(f"note   {api.budget.text()}"))
        else:
            chosen = judge_called(judge_name)
        target = out or answers.with_name("scores.jsonl")
        scored = judge_answers(read_answers(answers), chosen, out=target, progress=display.progress)
        rows, counts = [], []
        for metric in chosen.metrics:
            marks = [item.verdict.mark(metric) for item in scored]
            values = sorted(mark.value for mark in marks if not isinstance(mark, Unscored))
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
                (Grid(("metric", "scored", "median", "unscored"), rows, frozenset({1, 2, 3})),),
                wrote=(target,),
                next=("axenic", "rate", str(answers), *exclude_words(topics)),
            )
        )
