"""Measure arms: sample all as one batched job, judge, rate, take the cost. Run again = what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from axenic.evaluate import Scored, judge_answers, rate_answers
from axenic.interpret.armresult import ArmResult, RelativeChange
from axenic.interpret.arms import PlannedArm
from axenic.interpret.capability import Cost, arm_costs, pick_answers
from axenic.interpret.contrast import answers_without
from axenic.interpret.evaluation import Evaluation
from axenic.models import OpenModel
from axenic.progress import Progress, silent
from axenic.sample import sample_answers

ANSWERS, SCORES, COSTS = "answers.jsonl", "scores.jsonl", "costs.jsonl"
"""Files of a measurement; the last holds the KL of each (answer, arm)."""


def measure_arms(
    opened: OpenModel,
    planned: Sequence[PlannedArm],
    evaluation: Evaluation,
    *,
    exclude_topics: tuple[str, ...] = (),
    out: Path | None,
    progress: Progress = silent,
) -> list[ArmResult]:
    """What every arm does to EM and coherence, and what it costs.

    Args:
        opened: The model.
        planned: The arms; the first is plain, names are unique.
        evaluation: How answers are got and judged.
        exclude_topics: Topics to leave out besides those of `evaluation`.
        out: A folder for answers, scores and costs; None keeps nothing.
        progress: Told by every stage.

    Raises:
        What `sample_answers`, `judge_answers`, `rate_answers` and `arm_costs` raise; finished work is kept.
    """
    questions = evaluation.asked(exclude_topics)
    answers = sample_answers(
        opened,
        questions,
        per_question=evaluation.per_question,
        arms=[item.arm for item in planned],
        sampling=evaluation.sampling,
        out=None if out is None else out / ANSWERS,
        progress=progress,
    )
    scored = judge_answers(
        answers, evaluation.judge, out=None if out is None else out / SCORES, progress=progress
    )
    # By id and order, not by name: answers of an earlier run keep the name that their arm had then.
    by_arm: dict[str, list[Scored]] = {}
    for item in scored:
        by_arm.setdefault(item.answer.arm_id, []).append(item)
    groups = [by_arm[arm_id] for arm_id in dict.fromkeys(answer.arm_id for answer in answers)]
    left_out = tuple(sorted({*evaluation.exclude_topics, *exclude_topics}))
    rates = [
        rate_answers(
            group, exclude_topics=left_out, thresholds=evaluation.thresholds, seed=evaluation.sampling.seed
        )
        for group in groups
    ]
    costs = _costs(opened, planned, groups[0], evaluation, out, progress)
    return [
        ArmResult(
            name=item.arm.name,
            role=item.role,
            layer=item.layer,
            strength=item.strength,
            seed=item.seed,
            rates=rate,
            relative_change=None if item.role == "plain" else RelativeChange.between(rates[0], rate),
            kl_nats_per_token=None if cost is None else cost.kl_nats_per_token,
            kl_stderr=None if cost is None else cost.stderr,
            control_of=item.control_of,
        )
        for item, rate, cost in zip(planned, rates, costs, strict=True)
    ]


def _costs(
    opened: OpenModel,
    planned: Sequence[PlannedArm],
    plain: Sequence[Scored],
    evaluation: Evaluation,
    out: Path | None,
    progress: Progress,
) -> list[Cost | None]:
    """The cost of each arm; None for plain, and for all when no plain answer is aligned."""
    aligned = pick_answers(answers_without(plain, evaluation.thresholds), seed=evaluation.sampling.seed)
    if not aligned:
        return [None] * len(planned)
    costs = arm_costs(
        opened,
        aligned,
        [item.arm for item in planned[1:]],
        out=None if out is None else out / COSTS,
        progress=progress,
    )
    return [None, *costs]
