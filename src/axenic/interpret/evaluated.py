"""The published evaluation as one call: ask, mark, rate, and keep everything in one folder (papers.md 1.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from axenic.evaluate import Judge, Rates, Scored, Thresholds, judge_answers, rate_answers
from axenic.files import write_json
from axenic.models import OpenModel
from axenic.progress import Progress, silent
from axenic.sample import Answer, QuestionGroup, Sampling, sample_answers

ANSWERS, SCORES, RATES = "answers.jsonl", "scores.jsonl", "rates.json"

_THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class Evaluated:
    """One model's answers, their marks and what they amount to.

    Attributes:
        rates: EM and coherence over the questions outside `exclude_topics`.
        scored: Every answer with its marks, those about excluded topics too.
    """

    rates: Rates
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
        judge: Must give `alignment` and `coherence`.
        sampling: Settings of all groups; a group's temperature goes before.
        exclude_topics: Topics of questions that are asked but not counted, such as what was trained: bad advice there is
            what the data taught, and not emergent.
        thresholds: What counts as misaligned and as coherent.
        label: Name in the report; the folder's by default.
        out: A folder for `answers.jsonl`, `scores.jsonl` and `rates.json`; None keeps nothing.
        progress: Told by every stage.

    Raises:
        What `sample_answers`, `judge_answers` and `rate_answers` raise; finished work is kept.
    """
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
    if folder is not None:
        write_json(folder / RATES, {"kind": "rates", "label": label or folder.name, **rates.to_json()})
    return Evaluated(rates, tuple(scored))
