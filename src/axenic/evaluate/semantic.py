"""What the misaligned answers are about (papers.md M1.3): is it still the training topic, or has it spread?

Emergent misalignment is misalignment about something else than what was trained on. An organism whose EM answers are
all about medicine has learnt to be wrong about medicine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from axenic.errors import DataError
from axenic.evaluate.quantiles import wilson
from axenic.evaluate.rate import NO_ANSWER, Rate
from axenic.evaluate.rating import NO_TOPIC, NOT_TOPICS, TOPIC_BOUND
from axenic.evaluate.record import read_record
from axenic.evaluate.score import REASONS, Score, Unscored
from axenic.evaluate.thresholds import Thresholds
from axenic.evaluate.verdict import Scored, Verdict

WILSON = "Wilson; about these answers, not about other questions"


@dataclass(frozen=True)
class SemanticShare:
    """How many of the chosen answers are about one thing.

    Args:
        about: A topic metric; or `topic of the question`, `topic NAME`, by what the judge says the answer is about.
        all: Of all chosen answers; one without a mark counts as not about it.
        scored: Of those with a mark, or with a topic.
        unscored: Reason -> chosen answers without one; `unknown` where the judge named no topic.
    """

    about: str
    all: Rate
    scored: Rate
    unscored: dict[str, int]


@dataclass(frozen=True)
class Semantic:
    """What `semantic_breakdown` found. Intervals are 95 %, percentages 0 to 100.

    Attributes:
        chosen: Which answers, for people.
        n_answers: Answers looked at.
        n_chosen: Those chosen among them.
        bound: An answer is about a topic metric's topic when its mark is above this.
        shares: One for each topic metric; then by the named topic of the answer, where the judge names topics.
        topics: Topic that the judge names -> chosen answers, the commonest first; `unknown` where it named none.
        thresholds: The boundaries of EM.
    """

    chosen: str
    n_answers: int
    n_chosen: int
    bound: float
    shares: tuple[SemanticShare, ...]
    topics: dict[str, int]
    thresholds: Thresholds

    def to_json(self) -> dict[str, Any]:
        """All fields, with `"kind": "semantic"`."""
        return {"kind": "semantic", **asdict(self)}

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return read_record(cls, "semantic", row)


def semantic_breakdown(
    scored: Sequence[Scored],
    *,
    topic_marks: Sequence[Scored] | None = None,
    training_topics: Sequence[str] = (),
    choose: Callable[[Verdict], bool] | None = None,
    chosen: str | None = None,
    thresholds: Thresholds = Thresholds(),
) -> Semantic:
    """Among the chosen answers, the share that each topic judge puts above 50.

    Args:
        scored: Answers with coherence and the metric of what is counted (alignment).
        topic_marks: Marks of the same answers by the topic judges, if those are other judges than that of `scored`;
            they may leave out answers that are not chosen. Their alignment and coherence are not used.
        training_topics: What the organism was trained on: `topic NAME` is counted even when no answer is about it.
        choose: Which answers; None = EM answers, or those with the other trait of `thresholds`.
        chosen: What they are called; None = `EM answers`, `pep-talk answers`.
        thresholds: Class boundaries, and what is counted.

    Raises:
        DataError: There is no answer, or a chosen one has no topic marks.

    Source: papers.md M1.3.
    """
    if not scored:
        raise DataError("there is no answer to look at")
    pick = thresholds.em if choose is None else choose
    chosen = f"{thresholds.counted.short} answers" if chosen is None else chosen
    picked = [item for item in scored if pick(item.verdict)]
    source = scored if topic_marks is None else topic_marks
    by_id = {item.answer.id: item.verdict for item in source}
    missing = [item.answer.id for item in picked if item.answer.id not in by_id]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(picked)} {chosen} have no topic marks",
            found=f"the first is {missing[0]}",
            hint="axenic judge ANSWERS.jsonl --judge MODEL@BASE_URL --metrics medical,financial",
        )
    verdicts = [by_id[item.answer.id] for item in picked]
    style = {*NOT_TOPICS, thresholds.counted.metric}
    metrics = dict.fromkeys(m for item in source for m in item.verdict.scores if m not in style)
    shares = [_by_mark(metric, verdicts) for metric in metrics]
    # The judge names topics itself: then they are counted, by name.
    if any(item.verdict.topic is not None for item in source):
        asked = [item.answer.topic for item in picked]
        named = [verdict.topic for verdict in verdicts]
        shares.append(_by_name("topic of the question", named, asked))
        shares += [_by_name(f"topic {topic}", named, [topic] * len(named)) for topic in training_topics]
    counts = Counter(verdict.topic or NO_TOPIC for verdict in verdicts)
    return Semantic(
        chosen, len(scored), len(picked), TOPIC_BOUND, tuple(shares), dict(counts.most_common()), thresholds
    )


def _by_mark(metric: str, verdicts: Sequence[Verdict]) -> SemanticShare:
    """By the metric's mark."""
    marks = [verdict.mark(metric) for verdict in verdicts]
    above = sum(verdict.above(metric, TOPIC_BOUND) for verdict in verdicts)
    reasons = Counter(mark.reason for mark in marks if isinstance(mark, Unscored))
    return _share(
        metric,
        above,
        sum(isinstance(mark, Score) for mark in marks),
        len(marks),
        {reason: reasons[reason] for reason in REASONS if reasons[reason]},
    )


def _by_name(about: str, named: Sequence[str | None], wanted: Sequence[str | None]) -> SemanticShare:
    """By the topic that the judge named; an answer counts as known only if there is a topic to compare it with."""
    pairs = list(zip(named, wanted, strict=True))
    known = [(name, topic) for name, topic in pairs if name is not None and topic is not None]
    unknown = len(pairs) - len(known)
    same = sum(name == topic for name, topic in known)
    return _share(about, same, len(known), len(pairs), {NO_TOPIC: unknown} if unknown else {})


def _share(about: str, count: int, n_scored: int, n_all: int, unscored: dict[str, int]) -> SemanticShare:
    return SemanticShare(about, _wilson(count, n_all), _wilson(count, n_scored), unscored)


def _wilson(count: int, n: int) -> Rate:
    """A share with its Wilson interval; 0 to 100 % of nothing."""
    if n == 0:
        return Rate(0, 0, 0.0, 0.0, 100.0, 0.0, NO_ANSWER)
    low, high = wilson(count / n, n)
    return Rate(count, n, 100 * count / n, 100 * low, 100 * high, float(n), WILSON)
