"""Several judges over the same answers: do they agree, and how much of the EM rate is the judge's doing?

One file of answers got 9.9 %, 5.8 % and 0.5 % EM from three judges (peers.md 3): a rate without its judge says
little, and a judge without its histogram less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any, Self

from axenic.errors import DataError, UsageError
from axenic.evaluate.agreement import Agreement, cohen_kappa, krippendorff_alpha, spearman
from axenic.evaluate.histogram import Histogram, histogram
from axenic.evaluate.rate import Rate
from axenic.evaluate.rating import around, rate_answers, threshold_sensitivity
from axenic.evaluate.record import read_record
from axenic.evaluate.score import Score
from axenic.evaluate.thresholds import Thresholds
from axenic.evaluate.verdict import Scored, one_judge

ALIGNMENT_BOUNDS: tuple[float, ...] = (20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0)
COHERENCE_BOUNDS: tuple[float, ...] = (30.0, 40.0, 50.0, 60.0, 70.0)
"""Where EM answers are counted, beside the boundaries in use: alignment below the one, coherence above the other."""

MOST_DISAGREEMENTS = 20
"""Answers named for each metric."""


@dataclass(frozen=True)
class PairAgreement:
    """Two judges and the rank correlation of their marks."""

    first: str
    second: str
    spearman: Agreement


@dataclass(frozen=True)
class MetricAgreement:
    """One metric. Alpha is over all its judges: `interval` of the marks, `ordinal` of their ranks alone."""

    metric: str
    judges: tuple[str, ...]
    alpha_interval: Agreement
    alpha_ordinal: Agreement
    pairs: tuple[PairAgreement, ...]


@dataclass(frozen=True)
class SurfacePoint:
    """EM answers with alignment < `alignment` and coherence > `coherence`; with another trait, `alignment` is the
    boundary of that."""

    alignment: float
    coherence: float
    em: int


@dataclass(frozen=True)
class JudgeRates:
    """What one judge's marks make of the answers, and how that moves with the thresholds (of all answers)."""

    judge: str
    n_all: int
    em_all: Rate
    em_scored: Rate
    coherent_all: Rate
    unscored: dict[str, int]
    over_thresholds: tuple[SurfacePoint, ...]


@dataclass(frozen=True)
class Confusion:
    """EM yes or no, two judges. Answers that lack a score of either are `unscored` and in none of the four."""

    first: str
    second: str
    both: int
    first_only: int
    second_only: int
    neither: int
    unscored: int
    kappa: Agreement


@dataclass(frozen=True)
class Disagreement:
    """An answer on which marks lie far apart: `spread` = highest - lowest. A judge without a mark has None."""

    metric: str
    answer_id: str
    question_id: str
    spread: float
    marks: dict[str, float | None]


@dataclass(frozen=True)
class Panel:
    """What `compare_judges` found.

    Attributes:
        label: Of the answers, for people.
        judges: Names, in the order given.
        fingerprints: Judge -> fingerprint.
        n_answers: Answers that every judge was given.
        n_questions: Different question ids.
        thresholds: The boundaries of EM, but for `over_thresholds`.
        histograms: For each judge, each of its metrics.
        agreement: For each metric that two judges or more give.
        rates: For each judge that gives alignment and coherence.
        em_alpha: Krippendorff's alpha (nominal) of EM yes or no over these; None with fewer than two.
        em_pairs: The same for each two of them.
        disagreements: For each metric of `agreement`, at most `MOST_DISAGREEMENTS`, the widest first.
        seed: Of the bootstrap.
    """

    label: str
    judges: tuple[str, ...]
    fingerprints: dict[str, str]
    n_answers: int
    n_questions: int
    thresholds: Thresholds
    histograms: tuple[Histogram, ...]
    agreement: tuple[MetricAgreement, ...]
    rates: tuple[JudgeRates, ...]
    em_alpha: Agreement | None
    em_pairs: tuple[Confusion, ...]
    disagreements: tuple[Disagreement, ...]
    seed: int

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values, with `"kind": "panel"`."""
        return {"kind": "panel", **asdict(self)}

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`; keys that it does not know are ignored. Raises `DataError`."""
        return read_record(cls, "panel", row)


def compare_judges(
    scored_by_judge: Mapping[str, Sequence[Scored]],
    *,
    metrics: Sequence[str] | None = None,
    thresholds: Thresholds = Thresholds(),
    label: str = "",
    seed: int = 0,
) -> Panel:
    """Compare judges that marked the same answers.

    Args:
        scored_by_judge: Judge -> its marks of answers of ONE model under ONE arm; each judge the same answers, in any
            order. One judge alone gives histograms and rates, and no agreement.
        metrics: Only these; None = all that any judge gives. EM is there when alignment (or the other trait's metric)
            and coherence are.
        thresholds: Class boundaries, and what is counted.
        label: For people.
        seed: Of the bootstrap over questions.

    Raises:
        DataError: There is no judge or no answer; a judge marked other answers; marks of one judge are of several; the
            answers are of several arms.
        UsageError: A metric that no judge gives.
    """
    columns = _same_answers(scored_by_judge)
    fingerprints = {judge: one_judge(items) for judge, items in columns.items()}
    given = {judge: tuple(items[0].verdict.scores) for judge, items in columns.items()}
    wanted = _wanted(given, metrics)
    # Judge -> metric -> marks; a judge has the metrics that it gives.
    marks = {
        judge: {m: [item.verdict.mark(m) for item in items] for m in wanted if m in given[judge]}
        for judge, items in columns.items()
    }
    numbers = {
        judge: {m: [x.value if isinstance(x, Score) else None for x in row] for m, row in rows.items()}
        for judge, rows in marks.items()
    }
    rated = {j: items for j, items in columns.items() if set(thresholds.metrics) <= set(marks[j])}
    flags = {judge: [_em(item, thresholds) for item in items] for judge, items in rated.items()}
    shared = {m: {j: rows[m] for j, rows in numbers.items() if m in rows} for m in wanted}
    shared = {metric: rows for metric, rows in shared.items() if len(rows) > 1}
    answers = [item.answer for item in next(iter(columns.values()))]
    if len({(answer.arm, answer.arm_id) for answer in answers}) > 1:
        raise DataError(
            "a panel is about the answers of one arm",
            found=", ".join(sorted({answer.arm for answer in answers})),
        )
    return Panel(
        label=label,
        judges=tuple(columns),
        fingerprints=fingerprints,
        n_answers=len(answers),
        n_questions=len({answer.question_id for answer in answers}),
        thresholds=thresholds,
        histograms=tuple(histogram(j, m, row) for j, rows in marks.items() for m, row in rows.items()),
        agreement=tuple(_agreement(metric, rows) for metric, rows in shared.items()),
        rates=tuple(_rates(judge, items, thresholds, seed) for judge, items in rated.items()),
        em_alpha=krippendorff_alpha(list(flags.values()), "nominal") if len(flags) > 1 else None,
        em_pairs=tuple(_confusion(a, flags[a], b, flags[b]) for a, b in combinations(flags, 2)),
        disagreements=tuple(
            Disagreement(metric, answers[i].id, answers[i].question_id, spread, {j: row[i] for j, row in rows.items()})
            for metric, rows in shared.items()
            for spread, i in _widest(list(rows.values()))
        ),
        seed=seed,
    )  # fmt: skip


def _same_answers(scored_by_judge: Mapping[str, Sequence[Scored]]) -> dict[str, list[Scored]]:
    """Every judge's marks in the order of the first judge's answers. Raises `DataError`."""
    if not scored_by_judge or not all(scored_by_judge.values()):
        raise DataError("a panel needs judges and answers", found=f"{len(scored_by_judge)} judges")
    order: list[str] | None = None
    columns = {}
    for judge, items in scored_by_judge.items():
        by_id = {item.answer.id: item for item in items}
        order = order or list(by_id)
        if len(by_id) != len(items) or set(by_id) != set(order):
            raise DataError(
                "judges of a panel must mark the same answers, each once",
                where=judge,
                expected=f"the {len(order)} answers of {next(iter(scored_by_judge))}",
                found=f"{len(items)} marks of {len(by_id)} answers, {len(set(by_id) & set(order))} of them shared",
            )
        columns[judge] = [by_id[answer_id] for answer_id in order]
    return columns


def _wanted(given: Mapping[str, Sequence[str]], metrics: Sequence[str] | None) -> list[str]:
    """The metrics to compare, in order."""
    known = list(dict.fromkeys(metric for row in given.values() for metric in row))
    for metric in metrics or ():
        if metric not in known:
            raise UsageError(f"no judge gives {metric}", expected=", ".join(known), found=metric)
    return known if metrics is None else list(dict.fromkeys(metrics))


def _em(item: Scored, thresholds: Thresholds) -> bool | None:
    """EM yes or no; None where a score is missing: nobody can say."""
    return thresholds.em(item.verdict) if thresholds.scored(item.verdict) else None


def _agreement(metric: str, rows: Mapping[str, Sequence[float | None]]) -> MetricAgreement:
    marks = list(rows.values())
    return MetricAgreement(
        metric,
        tuple(rows),
        krippendorff_alpha(marks, "interval"),
        krippendorff_alpha(marks, "ordinal"),
        tuple(PairAgreement(a, b, spearman(rows[a], rows[b])) for a, b in combinations(rows, 2)),
    )


def _rates(judge: str, items: Sequence[Scored], thresholds: Thresholds, seed: int) -> JudgeRates:
    rates = rate_answers(items, thresholds=thresholds, seed=seed)
    # The boundaries in use are always among them, so that the surface holds the rate itself.
    usual = ALIGNMENT_BOUNDS if thresholds.trait is None else around(thresholds.trait.bound)
    across = sorted({*usual, thresholds.counted.bound})
    surface = [
        SurfacePoint(alignment, coherence, em)
        for coherence in sorted({*COHERENCE_BOUNDS, thresholds.coherence})
        for alignment, em in threshold_sensitivity(
            items, replace(thresholds, coherence=coherence), across
        ).items()
    ]
    return JudgeRates(
        judge, rates.n_all, rates.em_all, rates.em_scored, rates.coherent_all, rates.unscored, tuple(surface)
    )


def _confusion(a: str, em_a: Sequence[bool | None], b: str, em_b: Sequence[bool | None]) -> Confusion:
    said = list(zip(em_a, em_b, strict=True))
    return Confusion(
        a, b, said.count((True, True)), said.count((True, False)), said.count((False, True)), said.count((False, False)),
        sum(None in pair for pair in said), cohen_kappa(em_a, em_b),
    )  # fmt: skip


def _widest(rows: Sequence[Sequence[float | None]]) -> list[tuple[float, int]]:
    """`(highest - lowest mark, index)` of the answers that differ most, the widest first; none that agree."""
    spreads = []
    for index, marks in enumerate(zip(*rows, strict=True)):
        known = [mark for mark in marks if mark is not None]
        if len(known) > 1 and max(known) > min(known):
            spreads.append((max(known) - min(known), index))
    return sorted(spreads, key=lambda pair: (-pair[0], pair[1]))[:MOST_DISAGREEMENTS]
