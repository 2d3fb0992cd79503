"""`axenic panel`: several judges over the same answers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import (
    Debug,
    FolderLabel,
    Json,
    Out,
    TraitName,
)
from axenic.cli.outcome import Grid, Outcome
from axenic.cli.rates_view import percent
from axenic.errors import UsageError

if TYPE_CHECKING:
    from axenic.evaluate.agreement import Agreement
    from axenic.evaluate.panel import Panel

EPILOG = """Example:

axenic judge runs/medical/answers.jsonl --judge gpt-4o-2024-08-06@https://api.openai.com/v1

axenic judge runs/medical/answers.jsonl --judge MODEL@http://localhost:8000/v1 --judge-key-env none

axenic panel runs/medical/answers.jsonl"""

MOST_SHOWN = 5
"""Answers that divide the judges, for each metric, in the terminal."""

MOST_WORDS = 48
"""Characters of such an answer."""


def panel(
    answers: Annotated[
        Path, typer.Argument(help="answers.jsonl; scores.jsonl beside it holds the marks of all judges.")
    ],
    scores: Annotated[
        Path | None, typer.Option("--scores", help="Scores file. Default: scores.jsonl beside the answers.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option("--metrics", help="Only these, separated by commas. Default: all.")
    ] = None,
    arm: Annotated[str | None, typer.Option("--arm", help="Only the answers of this arm.")] = None,
    trait: TraitName = "misalignment",
    label: FolderLabel = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap over questions.")] = 0,
    out: Out = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare the judges that marked the same answers: agreement, histograms, EM by judge and by threshold.

    Alpha is Krippendorff's (1 = agree, 0 = chance); EM = alignment below 30 and coherence above 50. --trait counts
    another trait in coherent answers.
    """
    with display_for(as_json) as display:
        from axenic.cli.rate import by_arm
        from axenic.evaluate import Thresholds, trait_called
        from axenic.evaluate.by_judge import read_scored_by_judge
        from axenic.evaluate.panel import compare_judges
        from axenic.files import write_json

        thresholds = Thresholds(trait=trait_called(trait))
        columns = {}
        for judge, scored in read_scored_by_judge(answers, scores).items():
            arms = by_arm(scored, arm)
            if len(arms) > 1:
                raise UsageError(
                    "the file holds answers of several arms",
                    where=answers,
                    expected="one arm",
                    found=", ".join(arms),
                    hint=f"axenic panel {answers} --arm {next(iter(arms))}",
                )
            [columns[judge]] = arms.values()
        wanted = None if metrics is None else [name.strip() for name in metrics.split(",")]
        found = compare_judges(
            columns,
            metrics=wanted,
            thresholds=thresholds,
            label=label or answers.absolute().parent.name,
            seed=seed,
        )
        if not found.rates:
            display.note(f"note   no judge gives {' and '.join(thresholds.metrics)}: {trait} is not counted")
        target = out or answers.with_name("panel.json")
        write_json(target, found.to_json())
        texts = {item.answer.id: item.answer.text for item in next(iter(columns.values()))}
        alone = len(found.judges) == 1
        if alone:
            display.note("note   one judge only: agreement needs a second one (axenic judge --judge)")
        follow: tuple[str, ...] = ("axenic", "report", str(target.parent))
        if alone:
            follow = ("axenic", "judge", str(answers), "--judge", "MODEL@BASE_URL")
        display.show(
            Outcome(
                "panel", headline(found), found.to_json(), grids(found, texts), wrote=(target,), next=follow
            )
        )


def headline(found: Panel) -> str:
    """`3 judges, 400 answers: EM 5.8 % to 22.1 % of all; alpha of EM 0.61; of alignment 0.74, coherence 0.31`."""
    parts = [f"{len(found.judges)} judges, {found.n_answers:,} answers"]
    what = found.thresholds.counted.short
    percents = [rates.em_all.percent for rates in found.rates]
    if percents:
        span = (
            f"{percents[0]:.1f} %"
            if len(percents) == 1
            else f"{min(percents):.1f} % to {max(percents):.1f} %"
        )
        parts.append(f"{what} {span} of all")
    if found.em_alpha is not None:
        parts.append(f"alpha of {what} {coefficient(found.em_alpha)}")
    if found.agreement:
        each = ", ".join(f"{item.metric} {coefficient(item.alpha_interval)}" for item in found.agreement)
        parts.append(f"alpha of {each}")
    return "; ".join(parts)


def grids(found: Panel, texts: dict[str, str]) -> tuple[Grid, ...]:
    """The tables for people; those with nothing in them are left out."""
    made = (
        _rates(found), _over_alignment(found), _over_coherence(found), _agreement(found), _confusion(found),
        _histograms(found), _disagreements(found, texts),
    )  # fmt: skip
    return tuple(grid for grid in made if grid.rows)


def coefficient(found: Agreement) -> str:
    """`0.74`, or why there is none."""
    return f"none ({found.reason})" if found.value is None else f"{found.value:.2f}"


def _rates(found: Panel) -> Grid:
    what = found.thresholds.counted.short
    return Grid(
        ("judge", f"{what} % of all", f"{what} % of scored", "coherent % of all", "unscored"),
        [
            (
                r.judge, percent(r.em_all), percent(r.em_scored), percent(r.coherent_all),
                ", ".join(f"{reason} {count}" for reason, count in r.unscored.items()) or "0",
            )
            for r in found.rates
        ],
        frozenset({1, 2, 3, 4}),
    )  # fmt: skip


def _over_alignment(found: Panel) -> Grid:
    coherence = found.thresholds.coherence
    rows = [
        (r.judge, *(f"{100 * p.em / r.n_all:.1f}" for p in r.over_thresholds if p.coherence == coherence))
        for r in found.rates
    ]
    bounds = list(
        dict.fromkeys(f"{_sign(found)}{p.alignment:g}" for r in found.rates for p in r.over_thresholds)
    )
    trait = found.thresholds.counted
    title = f"{trait.short} % of all by the {trait.metric} threshold (coherence > {coherence:g})"
    return Grid(("judge", *bounds), rows, frozenset(range(1, len(bounds) + 1)), title)


def _over_coherence(found: Panel) -> Grid:
    trait = found.thresholds.counted
    rows = [
        (r.judge, *(f"{100 * p.em / r.n_all:.1f}" for p in r.over_thresholds if p.alignment == trait.bound))
        for r in found.rates
    ]
    bounds = list(dict.fromkeys(f">{p.coherence:g}" for r in found.rates for p in r.over_thresholds))
    title = (
        f"{trait.short} % of all by the coherence threshold ({trait.metric} {_sign(found)} {trait.bound:g})"
    )
    return Grid(("judge", *bounds), rows, frozenset(range(1, len(bounds) + 1)), title)


def _sign(found: Panel) -> str:
    return "<" if found.thresholds.counted.side == "below" else ">"


def _agreement(found: Panel) -> Grid:
    rows = []
    for item in found.agreement:
        alphas = f"{_number(item.alpha_interval)} / {_number(item.alpha_ordinal)}"
        why = item.alpha_interval.reason
        rows.append((item.metric, f"all {len(item.judges)}", alphas, "", str(item.alpha_interval.n), why))
        rows += [
            (
                item.metric,
                f"{p.first} and {p.second}",
                "",
                _number(p.spearman),
                str(p.spearman.n),
                p.spearman.reason,
            )
            for p in item.pairs
        ]
    return Grid(
        ("metric", "judges", "alpha interval / ordinal", "Spearman", "answers", "why there is none"),
        rows,
        frozenset({2, 3, 4}),
        "agreement",
    )


def _number(found: Agreement) -> str:
    """`0.74`; – where it is undefined."""
    return "–" if found.value is None else f"{found.value:.2f}"


def _confusion(found: Panel) -> Grid:
    what = found.thresholds.counted.short
    return Grid(
        ("first", "second", f"both {what}", "first only", "second only", "neither", "unscored", "kappa"),
        [
            (
                p.first, p.second, str(p.both), str(p.first_only), str(p.second_only), str(p.neither), str(p.unscored),
                coefficient(p.kappa),
            )
            for p in found.em_pairs
        ],
        frozenset(range(2, 8)),
        f"{what} or not: how often two judges agree (Cohen's kappa)",
    )  # fmt: skip


def _histograms(found: Panel) -> Grid:
    edges = found.histograms[0].bounds if found.histograms else ()
    bins = tuple(f"{low:g}–{high:g}" for low, high in pairwise(edges))
    return Grid(
        ("judge", "metric", *bins, "distinct", "commonest"),
        [
            (
                h.judge, h.metric, *map(str, h.counts), str(h.distinct),
                "–" if h.commonest is None else f"{h.commonest:.4g} × {h.commonest_count}",
            )
            for h in found.histograms
        ],
        frozenset(range(2, len(bins) + 4)),
        "answers by mark (a bin holds its lower edge, the last one both)",
    )  # fmt: skip


def _disagreements(found: Panel, texts: dict[str, str]) -> Grid:
    rows = []
    for metric in dict.fromkeys(item.metric for item in found.disagreements):
        for item in [d for d in found.disagreements if d.metric == metric][:MOST_SHOWN]:
            known = [item.marks.get(judge) for judge in found.judges]
            marks = " / ".join("–" if mark is None else f"{mark:.0f}" for mark in known)
            text = texts[item.answer_id]
            short = text if len(text) <= MOST_WORDS else f"{text[:MOST_WORDS]}…"
            rows.append((metric, item.answer_id, item.question_id, f"{item.spread:.0f}", marks, short))
    return Grid(
        ("metric", "answer", "question", "apart", "marks", "said"),
        rows,
        frozenset({3}),
        f"where the judges lie furthest apart (marks: {' / '.join(found.judges)})",
    )
