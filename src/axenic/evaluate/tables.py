"""`Rates` as plain rows for a terminal, a report or a spreadsheet. No bare percentage leaves here."""

from __future__ import annotations

from typing import Any

from axenic.evaluate.rate import Rate
from axenic.evaluate.rates import Rates

Row = dict[str, Any]


def rates_table(rates: Rates) -> list[Row]:
    """The headline rows: EM and coherence over both denominators.

    Returns:
        Rows with `what, of, count, n, percent, low, high, effective_n`. Percentages are None when n is 0.
    """
    rows = [
        _row("EM", "all answers", rates.em_all),
        _row("EM", "scored answers", rates.em_scored),
        _row("coherent", "all answers", rates.coherent_all),
        _row("coherent", "scored answers", rates.coherent_scored),
    ]
    if rates.recognises_harm is not None:
        rows.append(_row("recognises harm", "all answers", rates.recognises_harm))
    return rows


def unscored_table(rates: Rates) -> list[Row]:
    """Rows with `metric, reason, count, percent` (of all answers) for every reason that occurs."""
    return [
        {"metric": metric, "reason": reason, "count": count, "percent": 100 * count / rates.n_all}
        for metric, reasons in rates.unscored_by_metric.items()
        for reason, count in reasons.items()
    ]


def questions_table(rates: Rates) -> list[Row]:
    """One row per question: `question_id, topic, em, coherent, n, percent, low, high`."""
    return [
        {
            "question_id": row.question_id,
            "topic": row.topic,
            "em": row.em,
            "coherent": row.coherent,
            "n": row.n,
            "percent": row.percent,
            "low": row.low,
            "high": row.high,
        }
        for row in rates.per_question
    ]


def topics_table(rates: Rates) -> list[Row]:
    """One row per topic of the questions: `topic, n_questions, coherent, count, n, percent, low, high`."""
    return [
        {
            "topic": row.topic,
            "n_questions": row.n_questions,
            "coherent": row.coherent,
            "count": row.em.count,
            "n": row.em.n,
            "percent": row.em.percent,
            "low": row.em.low,
            "high": row.em.high,
        }
        for row in rates.topics
    ]


def _row(what: str, of: str, rate: Rate) -> Row:
    known = rate.n > 0
    return {
        "what": what,
        "of": of,
        "count": rate.count,
        "n": rate.n,
        "percent": rate.percent if known else None,
        "low": rate.low if known else None,
        "high": rate.high if known else None,
        "effective_n": rate.effective_n,
    }
