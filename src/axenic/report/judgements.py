"""What the judges said: how they agree, what the misaligned answers are about, and question by question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from axenic.report.collect import Findings
from axenic.report.paneltables import histograms_table, panel_tables
from axenic.report.plots.breakdown import MOST_BARS, Bar, plot_breakdown
from axenic.report.plots.panel import plot_em_over_thresholds, plot_mark_histograms
from axenic.report.section import MOST_OF_A_KIND, Figure, folder_of
from axenic.report.tables import Table, percent


def judge_figures(findings: Findings) -> Iterator[Figure]:
    for index, (name, result) in enumerate(list(findings.panels.items())[:MOST_OF_A_KIND]):
        label = result.label or PurePosixPath(name).parent.name
        command = f"axenic panel {folder_of(name)}/answers.jsonl"
        coherence = [point.coherence for rates in result.rates for point in rates.over_thresholds]
        if coherence:
            yield Figure(
                f"{label}: EM by judge and by threshold",
                f"A line for each judge of the same answers, coherence above {result.thresholds.coherence:g}; its band is what "
                f"coherence above {min(coherence):g} to above {max(coherence):g} would make of it, the dashed line the "
                "threshold in use. Where lines lie apart, the rate is the judge's as much as the model's; where one is "
                "steep, it is the threshold's.",
                command,
                (name,),
                plot_em_over_thresholds(result, f"panel{index}"),
                tuple(panel_tables(result)),
            )
        if any(h.scored and h.metric in ("alignment", "coherence") for h in result.histograms):
            yield Figure(
                f"{label}: how each judge uses its scale",
                "Share of the answers in each bin of ten points; red is below the alignment threshold, grey below the one of "
                "coherence. A judge that knows few marks, or one that never goes low, shows here.",
                command,
                (name,),
                plot_mark_histograms(result, f"panel{index}"),
                (("all marks, bin by bin", histograms_table(result)),),
            )


def semantic_figures(findings: Findings) -> Iterator[Figure]:
    for index, (name, found) in enumerate(list(findings.semantics.items())[:MOST_OF_A_KIND]):
        label = found.label or PurePosixPath(name).parent.name
        # Topics that the judge names, or one mark for each topic metric.
        named = {topic: count for topic, count in found.topics.items() if topic != "unknown"}
        bars = [Bar(topic, count, found.n_chosen) for topic, count in named.items()] or [
            Bar(share.about, share.all.count, share.all.n) for share in found.shares
        ]
        if found.n_chosen and any(bar.em for bar in bars):
            rows = tuple(
                (share.about, str(share.all.count), str(share.all.n), percent(share.all))
                for share in found.shares
            )
            yield Figure(
                f"{label}, by the topic of the answer",
                f"Share of the {found.chosen}. If they are about everything, and not about what was trained, what was learnt "
                "is emergent. " + _undrawn(bars, "topics"),
                f"axenic eval --organism RUN --out {folder_of(name)}",
                (name,),
                plot_breakdown(bars, f"semantic{index}", f"What {found.chosen} of {label} are about"),
                (
                    (
                        "shares, with Wilson intervals",
                        Table(("about", "answers", "of", "share"), rows, frozenset({1, 2, 3})),
                    ),
                ),
            )


def question_figures(findings: Findings) -> Iterator[Figure]:
    told = False
    for index, (name, rates) in enumerate(list(findings.rates.items())[:MOST_OF_A_KIND]):
        label = rates.label or PurePosixPath(name).parent.name
        bars = [Bar(q.question or q.question_id, q.em, q.n) for q in rates.per_question]
        topics = [Bar(t.topic, t.em.count, t.em.n) for t in rates.topics]
        command = f"axenic rate {folder_of(name)}/answers.jsonl"
        how = (
            ""
            if told
            else (
                f"{rates.what} answers of all answers to each question. A rate that two questions make is weaker evidence "
                "than one that all make; the intervals above already pay for that. "
            )
        )
        left_out = "Topics that the organism was trained on are left out. " if rates.exclude_topics else ""
        if any(bar.em for bar in bars):
            told = True
            yield Figure(
                f"{label}, question by question",
                how + _undrawn(bars, "questions"),
                command,
                (name,),
                plot_breakdown(bars, f"questions{index}", f"{rates.what} of {label} by question"),
            )
        if any(bar.em for bar in topics) and 1 < len(topics) < len(bars):
            yield Figure(
                f"{label}, by the topic of the question",
                left_out + _undrawn(topics, "topics"),
                command,
                (name,),
                plot_breakdown(topics, f"topics{index}", f"{rates.what} of {label} by topic"),
            )


def _undrawn(bars: Sequence[Bar], what: str) -> str:
    """A sentence about those that are not drawn."""
    some = sum(bar.em > 0 for bar in bars)
    parts = (
        [f"{len(bars) - some} of {len(bars)} {what} have no such answer and are not drawn."]
        if some < len(bars)
        else []
    )
    if some > MOST_BARS:
        parts.append(f"Of the {some} {what} that have some, the {MOST_BARS} highest are drawn.")
    return " ".join(parts)
