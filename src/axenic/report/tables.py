"""Results as tables of short texts. Nothing here knows of HTML: the template escapes every cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from axenic.report.documents import Arm, Claim, Interval, Points, Rate, Rates
from axenic.report.documents.base import what_of
from axenic.visible import one_line


@dataclass(frozen=True)
class Table:
    """Columns and rows of text. `numeric` names the columns that are set flush right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True)
class ClaimRow:
    """One claim as shown. `state` is `holds`, `fails` or `open`."""

    state: str
    mark: str
    id: str
    paper: str
    claim: str
    published: str
    measured: str
    interval: str
    control: str
    seeds: str


_MARKS = {True: ("holds", "✓"), False: ("fails", "✗"), None: ("open", "–")}


def claim_rows(claims: Iterable[Claim]) -> list[ClaimRow]:
    """Claims in the order of the file."""
    return [
        ClaimRow(
            *_MARKS[claim.holds], claim.id, claim.paper, claim.claim, text_of(claim.published),
            text_of(claim.measured), interval_of(claim.interval), text_of(claim.control), text_of(claim.seeds),
        )
        for claim in claims
    ]  # fmt: skip


def rates_table(named: Mapping[str, Rates]) -> Table:
    """One row for each set of rates: both denominators, coherence, effective n."""
    what = what_of(named.values())
    return Table(
        ("what", f"{what} % of all", f"{what} % of scored", "coherent % of all", "answers", "scored", "effective n"),
        tuple(
            (
                name, percent(r.em_all), percent(r.em_scored), percent(r.coherent_all), str(r.n_all),
                str(r.n_scored), "–" if r.effective_n is None else f"{r.effective_n:.0f}",
            )
            for name, r in named.items()
        ),
        frozenset({1, 2, 3, 4, 5, 6}),
    )  # fmt: skip


def paired_table(before: Rates, after: Rates) -> Table:
    """EM answers to each question before and after, those that rose most first."""
    rows = {row.question_id: row for row in after.per_question}
    pairs = [(row, rows[row.question_id]) for row in before.per_question if row.question_id in rows]
    pairs.sort(key=lambda pair: pair[0].em / max(pair[0].n, 1) - pair[1].em / max(pair[1].n, 1))
    what = what_of([before, after])
    return Table(
        ("question", "topic", f"{what} of the base", "of", f"{what} of the fine-tune", "of", "coherent"),
        tuple(
            (
                one_line(one.question or one.question_id, 120), one.topic or "–", str(one.em), str(one.n),
                str(two.em), str(two.n), str(two.coherent),
            )
            for one, two in pairs
        ),
        frozenset({2, 3, 4, 5, 6}),
    )  # fmt: skip


def arms_table(arms: Sequence[Arm]) -> Table:
    """One row for each arm: EM, coherence, relative change against plain, capability cost."""
    what = what_of(arm.rates for arm in arms)
    return Table(
        ("arm", f"{what} % of all", "coherent % of all", f"{what} against plain", "KL, nats/token", "answers"),
        tuple(
            (
                arm.name, percent(arm.rates.em_all), percent(arm.rates.coherent_all),
                "–" if arm.role == "plain" else change(arm.relative_change),
                "–" if arm.kl_nats_per_token is None else f"{arm.kl_nats_per_token:.3f}", str(arm.rates.n_all),
            )
            for arm in arms
        ),
        frozenset({1, 2, 3, 4, 5}),
    )  # fmt: skip


def unscored_table(named: Mapping[str, Rates]) -> Table | None:
    """Answers without a score, by reason; None when every answer of every result has its scores."""
    reasons = sorted(
        {reason for rates in named.values() for reason, count in rates.unscored.items() if count}
    )
    rows = [
        (name, *(str(rates.unscored.get(reason, 0)) for reason in reasons), str(rates.n_all))
        for name, rates in named.items()
        if any(rates.unscored.values())
    ]
    if not rows:
        return None
    return Table(("what", *reasons, "of answers"), tuple(rows), frozenset(range(1, len(reasons) + 2)))


def timings_table(timings: Mapping[str, float]) -> Table:
    """Seconds of each stage, in the order of the file."""
    return Table(
        ("stage", "seconds"), tuple((stage, f"{s:.1f}") for stage, s in timings.items()), frozenset({1})
    )


def percent(rate: Rate) -> str:
    """`22.1 [18.0, 26.9]`, or – where nothing was measured."""
    if rate.percent is None:
        return "–"
    if rate.low is None or rate.high is None:
        return f"{rate.percent:.1f}"
    return f"{rate.percent:.1f} [{rate.low:.1f}, {rate.high:.1f}]"


def change(interval: Interval | None) -> str:
    """`−92 % [−96, −85]`, or – where nothing was measured."""
    if interval is None or interval.value is None:
        return "–"
    text = f"{interval.value:+.0f} %"
    if interval.low is not None:
        # No upper end: EM of the organism itself may be 0, so that nothing bounds the ratio.
        high = "∞" if interval.high is None else f"{interval.high:+.0f}"
        text += f" [{interval.low:+.0f}, {high}]"
    return text.replace("-", "−")


def points(change: Points | None) -> str:
    """`−35.0 [−47.0, −23.0]`, or – where nothing was measured."""
    if change is None or change.value is None:
        return "–"
    text = f"{change.value:+.1f}"
    if change.low is not None and change.high is not None:
        text += f" [{change.low:+.1f}, {change.high:+.1f}]"
    return text.replace("-", "−")


def text_of(value: Any) -> str:
    """Any JSON value as short text: numbers rounded, lists joined, null as –."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "−")
    if isinstance(value, list | tuple):
        return ", ".join(text_of(item) for item in value) or "–"
    if isinstance(value, dict):
        return ", ".join(f"{key} {text_of(item)}" for key, item in value.items()) or "–"
    # A number and its "%" stay on one line.
    return one_line(str(value), 400).replace(" %", "\N{NO-BREAK SPACE}%")


def interval_of(value: Any) -> str:
    """`[low, high]` in brackets, to three digits; whatever else stands there as text."""
    if isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(v, int | float) for v in value):
        low, high = (text_of(float(f"{end:.3g}")) for end in value)
        return f"[{low}, {high}]"
    return text_of(value)
