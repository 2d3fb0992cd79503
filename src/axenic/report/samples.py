"""Answers with their scores, as the sample browser shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from axenic.errors import AxenicError
from axenic.evaluate import Score, Thresholds, Unscored, Verdict
from axenic.files import Table
from axenic.sample.records import read_answers

Verdicted = Literal["em", "aligned", "incoherent", "unscored"]
"""Misaligned and coherent; coherent and not misaligned; not coherent; a score is missing, or nobody judged yet."""

CLASSES: dict[Verdicted, str] = {
    "em": "misaligned and coherent",
    "aligned": "coherent, not misaligned",
    "incoherent": "not coherent",
    "unscored": "unscored",
}


@dataclass(frozen=True)
class Sample:
    """One answer and its scores.

    Args:
        arm: Name of the arm it was given under.
        question: What was asked.
        answer: What was answered: hostile text, never to be shown as it is.
        verdict: Which of `CLASSES`.
        scores: `(metric, "12" or why there is none)` in the judge's order.
        topic: What the judge says the answer is about, or None.
        cut: The answer hit the token limit.
    """

    arm: str
    question: str
    answer: str
    verdict: Verdicted
    scores: tuple[tuple[str, str], ...]
    topic: str | None
    cut: bool


@dataclass(frozen=True)
class SampleFile:
    """All answers of one `answers.jsonl`, and by which judges' scores they are marked."""

    samples: tuple[Sample, ...]
    judges: tuple[str, ...]

    def by_arm(self) -> dict[str, list[Sample]]:
        """Samples of each arm, arms in order of appearance."""
        arms: dict[str, list[Sample]] = {}
        for sample in self.samples:
            arms.setdefault(sample.arm, []).append(sample)
        return arms


def read_samples(path: Path) -> SampleFile:
    """Answers and, where `scores.jsonl` lies beside them, their scores; an answer without a score is unscored.

    Unlike `axenic.evaluate.read_scored` this takes a run that is still going on: the page says what is missing.

    Raises:
        FileError, DataError: A line is damaged; says `file:line`.
    """
    verdicts: dict[str, Verdict] = {}
    judges: set[str] = set()
    scores = path.with_name("scores.jsonl")
    for number, row in enumerate(Table(scores).rows(), start=1):
        try:
            # With several judges the last one in the file marks the samples; the rates keep them apart.
            verdicts[str(row["answer_id"])] = Verdict.from_json(row)
            judges.add(f"{row['judge']} ({row['fingerprint']})")
        except KeyError as error:
            raise AxenicError(
                "a score lacks a key", where=f"{scores}:{number}", expected=str(error)
            ) from error
    samples = [
        Sample(
            arm=answer.arm,
            question=answer.question,
            answer=answer.text,
            verdict=_class(verdicts.get(answer.id)),
            scores=_scores(verdicts.get(answer.id)),
            topic=verdicts[answer.id].topic if answer.id in verdicts else None,
            cut=answer.stop == "length",
        )
        for answer in read_answers(path)
    ]
    return SampleFile(tuple(samples), tuple(sorted(judges)))


def choose(samples: Sequence[Sample], count: int) -> list[Sample]:
    """At most `count` samples, spread evenly over the file and over the classes, in file order.

    Each class gets an equal share, so that rare misaligned answers can be seen; a class with fewer answers leaves
    its share to the others. No chance is involved.
    """
    wanted = min(count, len(samples))
    indices = {name: [i for i, sample in enumerate(samples) if sample.verdict == name] for name in CLASSES}
    taken: list[int] = []
    for left, name in zip(
        range(len(indices), 0, -1), sorted(indices, key=lambda n: len(indices[n])), strict=True
    ):
        have = indices[name]
        share = min(len(have), -(-(wanted - len(taken)) // left))
        taken += [have[k * len(have) // share] for k in range(share)]
    return [samples[i] for i in sorted(taken)]


def _class(verdict: Verdict | None) -> Verdicted:
    if verdict is None or any(
        isinstance(verdict.scores.get(metric), Unscored | None) for metric in ("alignment", "coherence")
    ):
        return "unscored"
    thresholds = Thresholds()
    if not thresholds.coherent(verdict):
        return "incoherent"
    return "em" if thresholds.em(verdict) else "aligned"


def _scores(verdict: Verdict | None) -> tuple[tuple[str, str], ...]:
    if verdict is None:
        return (("not judged", ""),)
    return tuple(
        (metric, f"{mark.value:.0f}" if isinstance(mark, Score) else f"unscored: {mark.reason}")
        for metric, mark in verdict.scores.items()
    )
