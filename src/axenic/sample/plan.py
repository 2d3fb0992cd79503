"""Which answers a job wants, their ids, and the chunks in which they are generated.

Chunks depend on the job alone, never on what is already done: a chunk that was lost half-way is generated again as it was,
so a killed and repeated job writes the bytes of an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from axenic.errors import UsageError
from axenic.files import content_id
from axenic.intervene import Arm
from axenic.models import OpenModel
from axenic.sample.records import Question, Sampling

_SAMPLES_TOGETHER = 10
"""Samples of one question and arm that stay side by side, so that they share a prompt; more samples asked for later come
after these, so that adding samples leaves earlier chunks as they were."""


@dataclass(frozen=True)
class PlannedAnswer:
    """One answer that the job wants: which arm and question (indices into the job's), and its id."""

    id: str
    arm: int
    question: int
    sample: int


def plan_answers(
    opened: OpenModel,
    questions: Sequence[Question],
    arms: Sequence[Arm],
    per_question: int,
    sampling: Sampling,
    asked: Mapping[str, Collection[str]] | None = None,
) -> list[PlannedAnswer]:
    """Every answer of the job, in the order in which they are generated and written.

    Raises:
        UsageError: No question, no arm, fewer than one sample, a name or id that occurs twice, or arms that are asked
            nothing or what there is not.
    """
    if per_question < 1:
        raise UsageError(
            "no answers were asked for", where="--per-question", expected="1 or more", found=per_question
        )
    if not questions:
        raise UsageError("no question is left to ask", hint="give other --questions or fewer --exclude-topic")
    if not arms:
        raise UsageError("there is no arm", expected="at least one, such as PLAIN")
    _refuse_repeats([question.id for question in questions], "question id")
    _refuse_repeats([arm.name for arm in arms], "arm name")
    if asked is not None:
        _check_asked(questions, arms, asked)
    identity = opened.identity
    planned = []
    for first in range(0, per_question, _SAMPLES_TOGETHER):
        for a, arm in enumerate(arms):
            arm_key = arm_identity(opened, arm, sampling)
            for q, question in enumerate(questions):
                if asked is not None and question.id not in asked[arm.name]:
                    continue
                prompt_key = content_id([arm_key, identity.tokenizer, question.question, question.system])
                for sample in range(first, min(first + _SAMPLES_TOGETHER, per_question)):
                    planned.append(PlannedAnswer(content_id([prompt_key, question.id, sample]), a, q, sample))
    # Two arms of the same content (strength 0 twice, say) would be one answer under two names.
    seen = {plan.id: plan for plan in reversed(planned)}
    for plan in planned:
        if (twin := seen[plan.id]) is not plan:
            raise UsageError(
                f"arms '{arms[twin.arm].name}' and '{arms[plan.arm].name}' do the same; their answers could not be told apart",
                hint="leave one of them out",
            )
    return planned


def arm_identity(opened: OpenModel, arm: Arm, sampling: Sampling) -> str:
    """Hash of everything but the question that an answer depends on: model, organism, interventions, sampling."""
    return content_id(arm_description(opened, arm, sampling))


def arm_description(opened: OpenModel, arm: Arm, sampling: Sampling) -> dict[str, Any]:
    """What an `arm_id` stands for: content hashes only, so that a renamed folder keeps its answers."""
    return {
        "base": opened.identity.base,
        "organism": opened.identity.organism,
        "dtype": str(opened.dtype).removeprefix("torch."),
        "interventions": [intervention.id for intervention in arm.interventions],
        "sampling": sampling.to_json(),
    }


def chunks(planned: Sequence[PlannedAnswer], batch_rows: int) -> list[list[PlannedAnswer]]:
    """The plan cut into runs of `batch_rows` answers, each generated as one batch."""
    return [list(planned[i : i + batch_rows]) for i in range(0, len(planned), batch_rows)]


def _check_asked(
    questions: Sequence[Question], arms: Sequence[Arm], asked: Mapping[str, Collection[str]]
) -> None:
    known = {question.id for question in questions}
    for arm in arms:
        wanted = set(asked.get(arm.name, ()))
        if not wanted or wanted - known:
            raise UsageError(
                "an arm must be asked some of the questions",
                where=f"arm '{arm.name}'",
                expected="one question id or more: " + ", ".join(sorted(known)[:4]),
                found=", ".join(sorted(wanted - known)[:4]) or "none",
            )


def _refuse_repeats(names: Sequence[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UsageError(f"{what} '{name}' occurs twice", expected=f"every {what} once")
        seen.add(name)
