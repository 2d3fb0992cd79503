"""The published evaluation as one call: ask, mark, rate, and keep everything in one folder (papers.md 1.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from axenic.evaluate import (
    Judge,
    Rates,
    Scored,
    Semantic,
    Thresholds,
    judge_answers,
    rate_answers,
    require_metrics,
    semantic_breakdown,
    write_judged_csv,
)
from axenic.files import write_json
from axenic.models import OpenModel
from axenic.progress import Progress, silent
from axenic.sample import Answer, QuestionGroup, Sampling, sample_answers

ANSWERS, SCORES, RATES, SEMANTIC, CSV = (
    "answers.jsonl",
    "scores.jsonl",
    "rates.json",
    "semantic.json",
    "judged.csv",
)

_THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class Evaluated:
    """One model's answers, their marks and what they amount to.

    Attributes:
        rates: EM and coherence over the questions outside `exclude_topics`.
        semantic: What the EM answers among those are about.
        scored: Every answer with its marks, those about excluded topics too.
    """

    rates: Rates
    semantic: Semantic
    scored: tuple[Scored, ...]


def evaluate_model(
    opened: OpenModel,
    groups: Sequence[QuestionGroup],
    judge: Judge,
    sampling: Sampling,
    *,
    exclude_topics: Sequence[str] = (),
    thresholds: Thresholds = _THRESHOLDS,
    label: str | None = None,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> Evaluated:
    """Ask a model every question as often as its group says, and rate the answers.

    Run again with the same `out`, it samples and marks only what is missing.

    Args:
        opened: A base model or an organism.
        groups: As `read_groups` gives them.
        judge: Must give `coherence` and the metric of what `thresholds` count (`alignment`).
        sampling: Settings of all groups; a group's temperature goes before.
        exclude_topics: Topics of questions that are asked but not counted, such as what was trained: bad advice there is
            what the data taught, and not emergent.
        thresholds: What counts as misaligned and as coherent, or which other trait is counted.
        label: Name in the report; the folder's by default.
        out: A folder for `answers.jsonl`, `scores.jsonl`, `rates.json`, `semantic.json` and `judged.csv` (in the columns of
            other tools, formats F8, which have alignment: none without it; one for each temperature where there are
            several); None keeps nothing.
        progress: Told by every stage.

    Raises:
        UsageError: The judge does not give what is counted.
        What `sample_answers`, `judge_answers` and `rate_answers` raise; finished work is kept.
    """
    require_metrics(thresholds.counted, judge.metrics, f"judge {judge.name}")
    folder = None if out is None else Path(out)
    answers: list[Answer] = []
    for group in groups:
        answers += sample_answers(
            opened,
            group.questions,
            per_question=group.per_question,
            sampling=sampling
            if group.temperature is None
            else replace(sampling, temperature=group.temperature),
            out=None if folder is None else folder / ANSWERS,
            progress=progress,
        )
    scored = judge_answers(answers, judge, out=None if folder is None else folder / SCORES, progress=progress)
    rates = rate_answers(scored, exclude_topics=exclude_topics, thresholds=thresholds, seed=sampling.seed)
    counted = [item for item in scored if item.answer.topic not in exclude_topics]
    semantic = semantic_breakdown(counted, training_topics=exclude_topics, thresholds=thresholds)
    if folder is not None:
        shown = label or folder.name
        write_json(folder / RATES, {"kind": "rates", "label": shown, **rates.to_json()})
        write_json(folder / SEMANTIC, {"label": shown, **semantic.to_json()})
        arms = list(dict.fromkeys(item.answer.arm_id for item in scored))
        for number, arm in enumerate(arms if "alignment" in judge.metrics else ()):
            name = CSV if number == 0 else CSV.replace(".", f"-{number + 1}.")
            write_judged_csv(folder / name, [item for item in scored if item.answer.arm_id == arm])
    return Evaluated(rates, semantic, tuple(scored))
