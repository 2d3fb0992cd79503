"""Agreement against scipy, scikit-learn, a published example, and the definitions written out."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from axenic.errors import DataError, UsageError
from axenic.evaluate.agreement import Agreement, average_ranks, cohen_kappa, krippendorff_alpha, spearman

pytestmark = pytest.mark.unit

# Krippendorff (2011), example C: four observers, twelve units.
N = None
PUBLISHED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]

MARK = st.none() | st.sampled_from([0.0, 10.0, 29.98, 30.0, 50.0, 99.5, 100.0]) | st.floats(0, 100)
TABLE = st.tuples(st.integers(2, 4), st.integers(1, 8)).flatmap(
    lambda size: st.lists(
        st.lists(MARK, min_size=size[1], max_size=size[1]), min_size=size[0], max_size=size[0]
    )
)


def by_definition(marks: Sequence[Sequence[float | None]], scale: str) -> float | None:
    """Alpha from its definition: every ordered pair within an answer, every ordered pair of all marks."""
    units = [[row[i] for row in marks if row[i] is not None] for i in range(len(marks[0]))]
    units = [unit for unit in units if len(unit) >= 2]
    values = [value for unit in units for value in unit]

    def distance(c: float, k: float) -> float:
        if scale == "nominal":
            return float(c != k)
        if scale == "interval":
            return (c - k) ** 2
        low, high = min(c, k), max(c, k)
        between = sum(low <= value <= high for value in values)
        return (between - (values.count(low) + values.count(high)) / 2) ** 2 if low != high else 0.0

    n = len(values)
    if n < 2:
        return None
    expected = sum(distance(a, b) for a, b in permutations(values, 2)) / (n * (n - 1))
    observed = (
        sum(sum(distance(a, b) for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units) / n
    )
    return None if len(set(values)) == 1 else 1 - observed / expected


@pytest.mark.parametrize(("scale", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_the_published_example(scale: str, alpha: float) -> None:
    found = krippendorff_alpha(PUBLISHED, scale)
    # The last unit has one mark and does not count.
    assert (round(found.value, 3), found.n) == (alpha, 11)


@settings(max_examples=80, deadline=None)
@given(marks=TABLE, scale=st.sampled_from(["nominal", "ordinal", "interval"]))
def test_alpha_is_what_its_definition_says(marks: list[list[float | None]], scale: str) -> None:
    expected, found = by_definition(marks, scale), krippendorff_alpha(marks, scale)
    assert (found.value is None) == (expected is None)
    spread = [m for row in marks for m in row if m is not None]
    # Marks that differ by rounding alone have an alpha that is rounding alone.
    if expected is not None and (scale != "interval" or max(spread) - min(spread) > 1e-3):
        assert found.value == pytest.approx(expected, abs=1e-6)


@settings(max_examples=80, deadline=None)
@given(
    pairs=st.lists(
        st.tuples(st.sampled_from([0.0, 1, 2, 30, 50, 100]), st.floats(0, 100)), min_size=3, max_size=40
    )
)
def test_spearman_is_scipys(pairs: list[tuple[float, float]]) -> None:
    first, second = zip(*pairs, strict=True)
    found = spearman(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found.value is None
        assert "same mark to all" in found.reason
    else:
        assert found.value == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-12)


def test_ranks_are_scipys() -> None:
    values = [random.Random(0).randrange(9) for _ in range(60)]
    assert average_ranks(values).tolist() == stats.rankdata(values).tolist()


def test_spearman_leaves_out_answers_without_a_mark() -> None:
    assert spearman([1, None, 2, 3, 9], [5, 1, 6, 7, None]) == Agreement(1.0, 3)
    assert spearman([1, None], [None, 2]).reason == "fewer than two answers have marks of both judges"


@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
@pytest.mark.filterwarnings("ignore")
def test_kappa_is_scikit_learns(pairs: list[tuple[bool, bool]]) -> None:
    first, second = zip(*pairs, strict=True)
    found = cohen_kappa(first, second)
    if len({*first, *second}) == 1:
        assert found.value is None
        assert found.reason.startswith("both said")
    else:
        assert found.value == pytest.approx(cohen_kappa_score(first, second, labels=[False, True]), abs=1e-12)


def test_kappa_leaves_out_what_one_did_not_judge() -> None:
    assert cohen_kappa([True, False, None], [True, False, True]) == Agreement(1.0, 2)
    assert cohen_kappa([None], [True]).value is None


@pytest.mark.parametrize("scale", ["nominal", "ordinal", "interval"])
def test_undefined_is_said(scale: str) -> None:
    assert krippendorff_alpha([[7, 7], [7, 7]], scale) == Agreement(None, 2, "all marks are equal (7)")
    assert krippendorff_alpha([[7, None], [None, 7]], scale).reason == "no answer has marks of two judges"
    # The one answer with marks of both has equal ones; what varies elsewhere cannot be compared.
    assert krippendorff_alpha([[7, 1], [7, None]], scale).value is None


def test_alpha_is_invariant_as_its_scale_promises() -> None:
    dice = random.Random(1)
    marks = [[float(dice.randrange(101)) for _ in range(40)] for _ in range(3)]
    for scale, change in (
        ("interval", lambda x: 3 * x + 1),
        ("ordinal", lambda x: math.exp(x / 20)),
        ("nominal", lambda x: (x * 37) % 101),
    ):
        changed = krippendorff_alpha([[change(x) for x in row] for row in marks], scale)
        assert changed.value == pytest.approx(krippendorff_alpha(marks, scale).value, abs=1e-9)


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match="two judges"):
        krippendorff_alpha([[1, 2]])
    with pytest.raises(UsageError, match="two judges"):
        spearman([1], [1, 2])
    with pytest.raises(UsageError, match="not finite"):
        spearman([1, math.nan], [1, 2])
    for wrong in ((math.nan, ""), (None, ""), (0.5, "but")):
        with pytest.raises(DataError):
            Agreement(wrong[0], 3, wrong[1])
