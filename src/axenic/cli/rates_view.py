"""Rates as people read them: the headline line and the tables of `rate`, `ablate`, `steer` and `transfer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from axenic.cli.outcome import Grid

if TYPE_CHECKING:
    from axenic.evaluate import Rate, Rates, Semantic
    from axenic.interpret import ArmResult, RelativeChange


def headline(rates: Rates) -> str:
    """`EM 22.1 % [18.0, 26.9] of all (88 of 400), 22.3 % of scored; coherent …; unscored …; effective n …`.

    Another trait is called by its name, and its rule is said.
    """
    rule = "" if rates.thresholds.trait is None else f" ({rates.trait.rule})"
    reasons = ", ".join(f"{reason} {count}" for reason, count in rates.unscored.items()) or "none"
    return (
        f"{rates.trait.short}{rule} {percent(rates.em_all)} of all ({rates.em_all.count} of {rates.n_all}), "
        f"{percent(rates.em_scored)} of scored; "
        f"coherent {percent(rates.coherent_all)} of all, {percent(rates.coherent_scored)} of scored; "
        f"unscored: {reasons}; effective n {rates.effective_n:.0f}"
    )


def percent(rate: Rate) -> str:
    """`22.1 % [18.0, 26.9]`; – of nothing."""
    return f"{rate.percent:.1f} % [{rate.low:.1f}, {rate.high:.1f}]" if rate.n else "–"


def rates_grid(what: str, rated: Mapping[str, Rates]) -> Grid:
    """Rates side by side, one line for each arm or seed; all of one trait."""
    return Grid(
        (
            what,
            f"{next(iter(rated.values())).trait.short} % of all",
            "coherent % of all",
            "answers",
            "unscored",
        ),
        [
            (name, percent(r.em_all), percent(r.coherent_all), str(r.n_all), str(r.n_all - r.n_scored))
            for name, r in rated.items()
        ],
        frozenset({1, 2, 3, 4}),
    )


def question_grid(rates: Rates) -> Grid:
    """Question by question, in the order of the file."""
    return Grid(
        ("question", "topic", rates.trait.short, "of", f"{rates.trait.short} %", "coherent", "unscored"),
        [
            (
                row.question_id, row.topic or "–", str(row.em), str(row.n),
                f"{row.percent:.1f} [{row.low:.1f}, {row.high:.1f}]", str(row.coherent), str(row.n - row.n_scored),
            )
            for row in rates.per_question
        ],
        frozenset({2, 3, 4, 5, 6}),
        "question by question (Wilson intervals)",
    )  # fmt: skip


def semantic_grid(semantic: Semantic) -> Grid:
    """What the EM answers are about: each share, then the commonest topics that the judge names."""
    trait = semantic.thresholds.counted
    shown = "misaligned" if semantic.thresholds.trait is None else trait.name
    rows = [
        (share.about, str(share.all.count), str(share.all.n), f"{percent(share.all)} (Wilson)")
        for share in semantic.shares
    ]
    return Grid(
        (f"{trait.short} answers about", "answers", "of", "share"),
        rows,
        frozenset({1, 2, 3}),
        f"what the {shown} answers are about",
    )


def arms_grid(arms: Sequence[ArmResult]) -> Grid:
    """One line for each arm, with its control beside it."""
    what = arms[0].rates.trait.short
    return Grid(
        ("arm", "role", f"{what} % of all", "coherent % of all", f"{what} against plain", "KL nats/token"),
        [
            (
                arm.name, arm.role, percent(arm.rates.em_all), percent(arm.rates.coherent_all), change(arm.relative_change),
                "–" if arm.kl_nats_per_token is None else f"{arm.kl_nats_per_token:.4f}",
            )
            for arm in arms
        ],
        frozenset({2, 3, 4, 5}),
    )  # fmt: skip


def change(found: RelativeChange | None) -> str:
    """`-92 % [-96, -85]`; – where there was nothing to change."""
    if found is None:
        return "–"
    high = "inf" if found.high is None else f"{found.high:+.0f}"
    return f"{found.value:+.0f} % [{found.low:+.0f}, {high}]"
