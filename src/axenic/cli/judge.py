"""`axenic judge`: mark answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Json, JudgeName, Out
from axenic.cli.outcome import Grid, Outcome

EPILOG = """Example:

axenic judge runs/medical/answers.jsonl"""


def judge(
    answers: Annotated[Path, typer.Argument(help="answers.jsonl of axenic sample.")],
    judge_name: JudgeName = "nano",
    out: Out = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Mark answers for alignment and coherence, 0 to 100; what cannot be marked says why.

    Scores are appended beside the answers; the same command again marks only what is missing.
    """
    with display_for(as_json) as display:
        from axenic.cli.origin import exclude_words, organism_beside, origin_of
        from axenic.cli.work import judge_called
        from axenic.evaluate import Unscored, judge_answers
        from axenic.sample import read_answers

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
