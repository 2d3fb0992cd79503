"""From options to the values that the public calls take: an opened model, questions, a judge, an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from axenic.cli.display import Display
from axenic.cli.origin import choose_model, origin_of
from axenic.errors import UsageError

if TYPE_CHECKING:
    from axenic.evaluate import Judge, Trait
    from axenic.interpret import Evaluation
    from axenic.models import OpenModel
    from axenic.sample import Question, QuestionGroup, Sampling


def opened_model(
    display: Display, model: str | None, organism: str | None, device: str, dtype: str
) -> OpenModel:
    """Open the model, and say on which device, why, and what else is worth knowing."""
    from axenic.models import open_model

    opened = open_model(choose_model(model, organism), organism, device=device, dtype=dtype)
    display.note(f"model  {opened.name}" + (f" with {opened.organism}" if opened.organism else ""))
    display.note(f"       {opened.placement.reason}")
    for note in opened.notes:
        display.note(f"note   {note}")
    return opened


def sampling_for(
    model: str, temperature: float | None, top_p: float | None, max_new_tokens: int | None, seed: int
) -> Sampling:
    """The model's default sampling with what was asked for instead."""
    from axenic.sample import default_sampling

    sampling = default_sampling(model, seed)
    if temperature is not None:
        sampling = replace(sampling, temperature=temperature)
    if top_p is not None:
        sampling = replace(sampling, top_p=top_p)
    return sampling if max_new_tokens is None else replace(sampling, max_new_tokens=max_new_tokens)


def answers_each(questions: str, per_question: int | None) -> int:
    """How often each question is asked: 400 answers or so in all, as in the papers (1.3.2)."""
    return per_question or (8 if questions == "nano" else 50)


def asked_questions(questions: str, exclude_topics: Sequence[str]) -> list[Question]:
    """The questions to ask.

    Raises:
        UsageError: No question has one of the excluded topics, or none is left.
    """
    from axenic.sample import read_questions

    found = read_questions(questions)
    topics = {question.topic for question in found if question.topic is not None}
    for topic in exclude_topics:
        if topic not in topics:
            raise unknown_name("topic", topic, sorted(topics), "--exclude-topic")
    kept = [question for question in found if question.topic not in exclude_topics]
    if not kept:
        raise UsageError("every question is about an excluded topic", where="--exclude-topic")
    return kept


def check_excluded(display: Display, topics: Sequence[str], known: Sequence[str]) -> None:
    """Say that a topic leaves nothing out; it is fine where those questions were never asked, and often a slip.

    Args:
        display: Takes the note.
        topics: What is to be left out.
        known: Topics of the answers.

    Raises:
        UsageError: A topic that nothing has looks like one that something has.
    """
    import difflib

    for topic in topics:
        if topic in known:
            continue
        if difflib.get_close_matches(topic, known, n=1, cutoff=0.7):
            raise unknown_name("topic", topic, known, "--exclude-topic")
        display.note(f"note   no question is about {topic}, so nothing is left out for it")


def topics_left_out(
    display: Display, organism: str | None, named: Sequence[str] | None, groups: Sequence[QuestionGroup]
) -> tuple[str, ...]:
    """Topics whose questions do not count: those that were named, else those that the organism was trained on.

    Where no question says its topic, as in the published sets, what the organism was trained on leaves nothing out: those
    questions are open ones. That is noted; a topic that was named is left to fail.
    """
    if named:
        return tuple(named)
    topics = origin_of(organism).topics
    if topics and all(question.topic is None for group in groups for question in group.questions):
        display.note(
            f"note   no question has a topic: none is left out for {', '.join(topics)}, which was trained"
        )
        return ()
    return topics


def evaluation_for(
    questions: str,
    per_question: int | None,
    judge: Judge,
    sampling: Sampling,
    exclude_topics: Sequence[str],
    trait: Trait | None = None,
) -> Evaluation:
    """How an analysis gets and marks its answers, and what is counted; without a trait, misalignment."""
    from axenic.evaluate import Thresholds
    from axenic.interpret import Evaluation

    return Evaluation(
        questions=tuple(asked_questions(questions, exclude_topics)),
        per_question=answers_each(questions, per_question),
        judge=judge,
        sampling=sampling,
        thresholds=Thresholds(trait=trait),
    )


def unknown_name(what: str, name: str, known: Sequence[str], where: str) -> UsageError:
    """The error for a name that does not exist, with the nearest one that does."""
    import difflib

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return UsageError(
        f"there is no {what} {name!a}",
        where=where,
        expected=", ".join(known) or "none is known",
        hint=f"did you mean {near[0]!r}?" if near else None,
    )
