"""Ask all questions under many settings of a model, for several sampling seeds, and judge the answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from axenic.errors import UsageError
from axenic.evaluate import Rates, Scored, judge_answers, rate_answers
from axenic.interpret.evaluation import Evaluation
from axenic.interpret.measure import ANSWERS, SCORES
from axenic.intervene import Arm
from axenic.models import OpenModel
from axenic.progress import Progress, silent
from axenic.sample import Question, sample_answers


def ask_arms(
    opened: OpenModel,
    arms: Sequence[Arm],
    evaluation: Evaluation,
    *,
    questions: Sequence[Question] | None = None,
    asked: Mapping[str, Collection[str]] | None = None,
    seeds: int = 1,
    out: Path | None = None,
    progress: Progress = silent,
) -> list[dict[str, list[Scored]]]:
    """Judged answers of every arm, by the arm's name; one mapping for each sampling seed, each seed one batched job.

    Args:
        opened: The model.
        arms: Of different names.
        evaluation: How answers are got and judged.
        questions: What is asked; None: the questions of `evaluation`.
        asked: See `sample_answers`.
        seeds: So many from the sampling seed of `evaluation` on.
        out: A folder; each seed has its own in it, `seed1000`. Run again = what is missing.
        progress: Told by every stage.

    Raises:
        UsageError: Fewer than one seed.
        What `sample_answers` and `judge_answers` raise; finished work is kept.
    """
    if seeds < 1:
        raise UsageError("nothing is sampled without a seed", expected="1 or more", found=f"{seeds} seeds")
    found = []
    for number in range(seeds):
        sampling = replace(evaluation.sampling, seed=evaluation.sampling.seed + number)
        here = None if out is None else out / f"seed{sampling.seed}"
        answers = sample_answers(
            opened,
            evaluation.asked(()) if questions is None else questions,
            per_question=evaluation.per_question,
            arms=arms,
            asked=asked,
            sampling=sampling,
            out=None if here is None else here / ANSWERS,
            progress=progress,
        )
        marked = judge_answers(
            answers, evaluation.judge, out=None if here is None else here / SCORES, progress=progress
        )
        # By name: two arms of one content may have been asked different questions.
        by_arm: dict[str, list[Scored]] = {arm.name: [] for arm in arms}
        for item in marked:
            by_arm[item.answer.arm].append(item)
        found.append(by_arm)
    return found


@dataclass(frozen=True)
class Inside:
    """One arm's rates of the answers of all seeds, and of each, on questions outside the domain and inside it."""

    general: Rates
    domain: Rates
    by_seed: tuple[tuple[Rates, Rates], ...]


def rate_inside(seeds: Sequence[Sequence[Scored]], domain: str, evaluation: Evaluation) -> Inside:
    """Rate one arm's answers, those of each sampling seed given apart."""

    def rate(items: Sequence[Scored], inside: bool) -> Rates:
        kept = [item for item in items if (item.answer.topic == domain) is inside]
        return rate_answers(kept, thresholds=evaluation.thresholds, seed=evaluation.sampling.seed)

    pooled = [item for items in seeds for item in items]
    return Inside(
        rate(pooled, False),
        rate(pooled, True),
        tuple((rate(items, False), rate(items, True)) for items in seeds),
    )
