"""Do the marks of one group lie above those of another? The area under the ROC curve and an exact p-value."""

from __future__ import annotations

from collections.abc import Sequence

from axenic.errors import UsageError
from axenic.evaluate.agreement import average_ranks


def auc(high: Sequence[float], low: Sequence[float]) -> float:
    """Chance that a mark of `high` is above a mark of `low`; equal marks count half. 0.5 = no better than chance.

    Raises:
        UsageError: A group is empty.
    """
    return (_doubled_sum(high, low)[1] / 2 - len(high) * (len(high) + 1) / 2) / (len(high) * len(low))


def rank_test(high: Sequence[float], low: Sequence[float]) -> float:
    """One-sided exact p-value: the share of all ways to split the marks into two such groups with an AUC as high.

    Ties are no trouble, since the distribution is counted over the average ranks themselves (doubled, to be whole).

    Raises:
        UsageError: A group is empty.
    """
    doubled, observed = _doubled_sum(high, low)
    # ways[k][s]: subsets of k marks whose doubled ranks add up to s. Python's whole numbers do not overflow.
    ways: list[dict[int, int]] = [{0: 1}] + [{} for _ in high]
    for rank in doubled:
        for k in range(len(high), 0, -1):
            for total, count in ways[k - 1].items():
                ways[k][total + rank] = ways[k].get(total + rank, 0) + count
    as_high = sum(count for total, count in ways[-1].items() if total >= observed)
    return as_high / sum(ways[-1].values())


def _doubled_sum(high: Sequence[float], low: Sequence[float]) -> tuple[list[int], int]:
    """Twice the average rank of every mark, and their sum over the first group."""
    if not high or not low:
        raise UsageError("two groups are needed", found=f"{len(high)} and {len(low)} marks")
    doubled = [round(2 * rank) for rank in average_ranks([*high, *low])]
    return doubled, sum(doubled[: len(high)])
