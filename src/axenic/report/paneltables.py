"""The numbers of a panel of judges as tables of short texts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from axenic.report.documents import Coefficient, PanelFile
from axenic.report.tables import Table, percent


def panel_tables(result: PanelFile) -> Iterator[tuple[str, Table]]:
    """Rates by judge; how often two agree on EM; agreement by metric. Those with nothing in them are left out."""
    rates = [
        (
            r.judge, percent(r.em_all), percent(r.em_scored), percent(r.coherent_all),
            ", ".join(f"{reason} {count}" for reason, count in r.unscored.items()) or "0",
        )
        for r in result.rates
    ]  # fmt: skip
    yield (
        "the rates by each judge",
        Table(
            ("judge", "EM % of all", "EM % of scored", "coherent % of all", "unscored"),
            tuple(rates),
            frozenset({1, 2, 3, 4}),
        ),
    )
    pairs = [
        (
            f"{p.first} and {p.second}", str(p.both), str(p.first_only), str(p.second_only), str(p.neither), str(p.unscored),
            coefficient(p.kappa),
        )
        for p in result.em_pairs
    ]  # fmt: skip
    if pairs:
        alpha = (
            "" if result.em_alpha is None else f"; Krippendorff's alpha of all {coefficient(result.em_alpha)}"
        )
        yield (
            f"EM or not, two judges at a time{alpha}",
            Table(
                ("judges", "both EM", "first only", "second only", "neither", "unscored", "kappa"),
                tuple(pairs),
                frozenset(range(1, 7)),
            ),
        )
    rows = []
    for item in result.agreement:
        rows.append((item.metric, "all: alpha, interval", *_both(item.alpha_interval)))
        rows.append((item.metric, "all: alpha, ordinal", *_both(item.alpha_ordinal)))
        rows += [(item.metric, f"{p.first} and {p.second}: Spearman", *_both(p.spearman)) for p in item.pairs]
    if rows:
        columns = ("metric", "judges", "agreement", "answers")
        yield "agreement of the marks", Table(columns, tuple(rows), frozenset({2, 3}))


def histograms_table(result: PanelFile) -> Table:
    """Answers in each bin, one row for each judge and metric."""
    edges = max((h.bounds for h in result.histograms), key=len, default=())
    bins = tuple(f"{low:g}–{high:g}" for low, high in pairwise(edges))
    rows = [
        (
            h.judge,
            h.metric,
            *(str(count) for count in h.counts),
            str(h.distinct),
            str(sum(h.unscored.values())),
        )
        for h in result.histograms
        if h.bounds == edges
    ]
    columns = ("judge", "metric", *bins, "different marks", "unscored")
    return Table(columns, tuple(rows), frozenset(range(2, len(columns))))


def coefficient(found: Coefficient) -> str:
    """`0.74`, or why there is none."""
    return f"none: {found.reason}" if found.value is None else f"{found.value:.2f}".replace("-", "−")


def _both(found: Coefficient) -> tuple[str, str]:
    return coefficient(found), str(found.n)
