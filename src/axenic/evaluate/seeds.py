"""One recipe, several fine-tuning seeds: the mean rate and how far seeds differ.

Seeds differ more than answers do: the authors' nine-adapter organism gave 15.5, 9.75, 8.25 and 8.25 % for
four seeds (papers.md 1.3.5). The interval here is over seeds on these questions; that of one `Rates` is over
questions for this seed.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from axenic.errors import DataError, UsageError
from axenic.evaluate.quantiles import t_reach
from axenic.evaluate.rate import Rate
from axenic.evaluate.rates import Rates
from axenic.evaluate.trait import MISALIGNMENT

OVER_SEEDS = "Student's t over seeds"
ONE_SEED = "one seed: its own interval over questions; nothing is known about other seeds"
NO_SPREAD = "the seeds agree exactly: mean of their own intervals over questions"


@dataclass(frozen=True)
class SeedMean:
    """A percentage averaged over seeds.

    Attributes:
        percents: Of each seed, in the order given.
        percent: Their mean.
        low: Lower end of the 95 % interval of the mean, percent, at least 0.
        high: Upper end, at most 100.
        spread: Standard deviation over seeds, percentage points; 0 for one seed.
        method: How the interval was made.
    """

    percents: tuple[float, ...]
    percent: float
    low: float
    high: float
    spread: float
    method: str


@dataclass(frozen=True)
class SeedRates:
    """EM and coherence averaged over seeds, both over all answers."""

    n_seeds: int
    em: SeedMean
    coherent: SeedMean
    trait: str = MISALIGNMENT.name
    """What was counted; `em` is its share."""

    def to_json(self) -> dict[str, Any]:
        """All fields as plain values."""
        plain = asdict(self)
        for name in ("em", "coherent"):
            plain[name]["percents"] = list(plain[name]["percents"])
        return plain


def combine_seeds(rates: Sequence[Rates]) -> SeedRates:
    """The mean over seeds, each seed counting the same.

    Raises:
        DataError: There is no seed, or the seeds were not asked the same questions.
        UsageError: They were made with other thresholds or excluded topics.
    """
    if not rates:
        raise DataError("there is no seed to combine")
    first = rates[0]
    questions = {row.question_id for row in first.per_question}
    for number, other in enumerate(rates[1:], start=2):
        if {row.question_id for row in other.per_question} != questions:
            raise DataError(
                "the seeds were not asked the same questions",
                where=f"seed {number} of {len(rates)}",
                expected=f"the {first.n_questions} questions of the first",
                found=f"{other.n_questions} questions",
            )
        if (other.thresholds, sorted(other.exclude_topics)) != (
            first.thresholds,
            sorted(first.exclude_topics),
        ):
            raise UsageError("the seeds were rated differently", where=f"seed {number} of {len(rates)}")
    return SeedRates(
        len(rates),
        _mean([item.em_all for item in rates]),
        _mean([item.coherent_all for item in rates]),
        first.trait.name,
    )


def _mean(rates: Sequence[Rate]) -> SeedMean:
    percents = tuple(rate.percent for rate in rates)
    mean = statistics.fmean(percents)
    spread = statistics.stdev(percents) if len(percents) > 1 else 0.0
    if spread > 0:
        reach = t_reach(percents)
        return SeedMean(percents, mean, max(0.0, mean - reach), min(100.0, mean + reach), spread, OVER_SEEDS)
    low, high = statistics.fmean(rate.low for rate in rates), statistics.fmean(rate.high for rate in rates)
    return SeedMean(percents, mean, low, high, 0.0, ONE_SEED if len(percents) == 1 else NO_SPREAD)
