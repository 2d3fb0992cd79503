"""General and narrow rates of one organism, from questions to rates (papers.md M3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from axenic.evaluate import (
    Judge,
    NarrowQuestions,
    NarrowRates,
    Rates,
    Thresholds,
    judge_answers,
    rate_answers,
    require_metrics,
)
from axenic.interpret.klsetting import kl_setting
from axenic.interpret.label import label_of
from axenic.models import OpenModel
from axenic.progress import Progress, silent
from axenic.sample import Question, Sampling, sample_answers

GENERAL, NARROW, HELD_OUT = "general", "narrow", "held_out"
"""Folders of answers and scores."""

FILE = "narrow.json"

_THRESHOLDS = Thresholds()


def evaluate_narrow(
    opened: OpenModel,
    asked: NarrowQuestions,
    judge: Judge,
    sampling: Sampling,
    *,
    per_question: int,
    thresholds: Thresholds = _THRESHOLDS,
    narrow_metric: str | None = None,
    label: str | None = None,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> NarrowRates:
    """Ask an organism general and narrow questions, and rate both.

    Run again with the same `out`, it samples and marks only what is missing.

    Args:
        opened: The organism.
        asked: As `choose_narrow` gives them.
        judge: Must give coherence, the metric of what `thresholds` count and the narrow one.
        sampling: How answers are drawn.
        per_question: Answers to each question, at least 1.
        thresholds: Class boundaries, and what is counted.
        narrow_metric: What is asked of answers on the trained domain; None = that of the trait, which of misalignment is
            `domain_correctness`. The nano judge knows no other than `alignment`.
        label: Name of the organism.
        out: A folder for answers and scores, in `general`, `narrow` and `held_out`; None keeps nothing.
        progress: Told by every stage.

    Raises:
        UsageError: The judge does not give one of the metrics.
        What `sample_answers`, `judge_answers` and `rate_answers` raise; finished work is kept.
    """
    inside = narrow_thresholds(thresholds, narrow_metric)
    for bounds in (thresholds, inside):
        require_metrics(bounds.counted, judge.metrics, f"judge {judge.name}")

    def rated(name: str, questions: Sequence[Question], bounds: Thresholds) -> Rates | None:
        if not questions:
            return None
        folder = None if out is None else Path(out) / name
        answers = sample_answers(
            opened,
            questions,
            per_question=per_question,
            sampling=sampling,
            out=None if folder is None else folder / "answers.jsonl",
            progress=progress,
        )
        scored = judge_answers(
            answers, judge, out=None if folder is None else folder / "scores.jsonl", progress=progress
        )
        return rate_answers(scored, thresholds=bounds, seed=sampling.seed)

    general = rated(GENERAL, asked.general, thresholds)
    assert general is not None  # `choose_narrow` leaves no general set empty.
    return NarrowRates(
        label=label or label_of(opened),
        judge=judge.name,
        general=general,
        narrow=rated(NARROW, asked.narrow, inside),
        held_out=rated(HELD_OUT, asked.held_out, inside),
        domains=asked.domains,
        n_asked=asked.n_asked,
        checked=asked.checked,
        kl=kl_setting(opened),
    )


def narrow_thresholds(thresholds: Thresholds, narrow_metric: str | None = None) -> Thresholds:
    """The boundaries for answers on the trained domain: another metric, the same side, boundary and coherence."""
    trait = thresholds.counted.narrowed(narrow_metric)
    if trait == thresholds.counted:
        return thresholds
    return Thresholds(coherence=thresholds.coherence, trait=trait)
