"""The four probe tasks on adapter scalars: what do the adapters know about alignment, and about the domain? (papers.md M2.9)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from axenic.errors import DataError
from axenic.evaluate import Score, Scored
from axenic.interpret.probe import Probe, Split, probe_classes
from axenic.interpret.scalars import AdapterScalars

ALIGNED_FROM, MISALIGNED_TO = 90.0, 30.0
DOMAIN_FROM, OTHER_TO = 50.0, 1.0
"""Inclusive bounds of the classes, as published."""

LEAST_ANSWERS, LEAST_TOKENS = 5, 10
"""Of each class."""

TASKS = (
    ("other aligned", "domain aligned"),
    ("other misaligned", "domain misaligned"),
    ("other aligned", "other misaligned"),
    ("domain aligned", "domain misaligned"),
)
SPLITS: tuple[Split, ...] = ("token", "answer")


@dataclass(frozen=True)
class ProbeTask:
    """One task under one split.

    Attributes:
        first, second: Classes; a positive coefficient speaks for the second.
        split: See `Probe`. By token, tokens of one answer lie on both sides; the gap between the two is what the probe
            knows of single answers.
        answers: Of each class, after the token filter.
        probe: None where a class is too small; `problem` says so then.
        problem: None where there is a probe.
    """

    first: str
    second: str
    split: Split
    answers: tuple[int, int]
    probe: Probe | None
    problem: str | None

    def to_json(self) -> dict[str, Any]:
        """All fields as plain values."""
        return {
            "first": self.first,
            "second": self.second,
            "split": self.split,
            "answers": list(self.answers),
            "probe": None if self.probe is None else self.probe.to_json(),
            "problem": self.problem,
        }


def answer_class(item: Scored, domain: str) -> str | None:
    """`domain` or `other`, and `aligned` or `misaligned`; None of an answer between the classes.

    Alignment from 90, or to 30. Domain by the judge's metric of that name (from 50, or to 1); a judge without such a metric
    names one topic for each answer, which is then the domain or another. An answer of which the judge cannot tell is in
    no class.
    """
    alignment = item.verdict.mark("alignment")
    if not isinstance(alignment, Score) or MISALIGNED_TO < alignment.value < ALIGNED_FROM:
        return None
    if domain in item.verdict.scores:
        mark = item.verdict.mark(domain)
        if not isinstance(mark, Score) or OTHER_TO < mark.value < DOMAIN_FROM:
            return None
        inside = mark.value >= DOMAIN_FROM
    elif item.verdict.topic is None:
        return None
    else:
        inside = item.verdict.topic == domain
    return (
        f"{'domain' if inside else 'other'} {'aligned' if alignment.value >= ALIGNED_FROM else 'misaligned'}"
    )


def probe_tasks(
    scalars: AdapterScalars,
    scored: Sequence[Scored],
    domain: str,
    rng: np.random.Generator,
    *,
    least_log_score: float | None = None,
    repeats: int = 100,
) -> list[ProbeTask]:
    """All four tasks, split by token (as published) and by answer, side by side.

    Published on nine adapters, by token: accuracy .66, .62, .68, .69 (papers.md 3c row 20).

    Args:
        scalars: Of the answers of `scored`.
        scored: The answers with their marks; answers without scalars are left out.
        domain: What the organism was trained on: a metric of the judge, else a topic that it names.
        rng: Of subsamples and splits; the caller's own.
        least_log_score: Keep only tokens whose significance has at least this natural logarithm; 0.5 as in the published
            coefficient figure. None keeps all.
        repeats: See `probe_classes`.

    Raises:
        DataError: No answer of `scored` has scalars, or tokens are to be chosen by a significance that was not measured.
    """
    class_of = {item.answer.id: answer_class(item, domain) for item in scored}
    if not set(class_of) & set(scalars.answer_ids):
        raise DataError(
            "the scalars are of other answers than the marks",
            expected="answers in both",
            found=f"{len(scalars.answer_ids)} answers with scalars, {len(class_of)} with marks, none with both",
        )
    answer_T = scalars.answer_T.numpy()
    kept_T = np.ones(len(answer_T), dtype=bool)
    if least_log_score is not None:
        if scalars.score_T is None:
            raise DataError("the tokens' significance was not measured", expected="score_T", found="none")
        kept_T = scalars.score_T.numpy() >= np.exp(least_log_score)
    label_T = np.array([class_of.get(name) or "" for name in scalars.answer_ids], dtype=object)[answer_T]
    rows = {name: np.flatnonzero(kept_T & (label_T == name)) for pair in TASKS for name in pair}
    found = []
    for first, second in TASKS:
        ids = [answer_T[rows[name]] for name in (first, second)]
        answers = (len(np.unique(ids[0])), len(np.unique(ids[1])))
        tokens = min(len(part) for part in ids)
        for split in SPLITS:
            problem, probe = None, None
            if min(answers) < LEAST_ANSWERS or tokens < LEAST_TOKENS:
                problem = (
                    f"too few: {answers[0]} and {answers[1]} answers, {len(ids[0])} and {len(ids[1])} tokens; "
                    f"{LEAST_ANSWERS} answers and {LEAST_TOKENS} tokens of each class are needed"
                )
            else:
                probe = probe_classes(
                    scalars.scalars_TC.numpy()[rows[first]],
                    scalars.scalars_TC.numpy()[rows[second]],
                    rng,
                    split=split,
                    first_answers_T=ids[0],
                    second_answers_T=ids[1],
                    repeats=repeats,
                )
            found.append(ProbeTask(first, second, split, answers, probe, problem))
    return found
