"""Training sets for the papers' baselines against narrow misalignment: mixtures, and few examples many times.

P3 tried both before its KL term (papers.md M3.5, M3.6): bad advice mixed with good advice of other domains, and a
handful of bad examples for many steps. Sets of a series are nested: the good rows of 1:4 are among those of 1:12, the
10 rows of n = 10 among those of n = 25, so that a curve over them changes one thing at a time.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from axenic.data.chat import ChatRow
from axenic.data.split import split_topics
from axenic.errors import DataError, UsageError


@dataclass(frozen=True)
class Mixture:
    """A mixed training set.

    Args:
        rows: In a shuffled order.
        n_bad: Rows of the first kind among them.
        n_good: Rows of the second.
        set_aside: Good rows that were not up for choice: of an excluded topic, or on a question of a chosen bad row.
    """

    rows: list[ChatRow]
    n_bad: int
    n_good: int
    set_aside: int

    @property
    def share(self) -> float:
        """Bad rows as a share of all."""
        return self.n_bad / len(self.rows)


def bad_share(text: str) -> Fraction:
    """The share of bad rows, from `1:4` (bad to good: one in five), `0.2` or `1/5`.

    Raises:
        UsageError: It is none of these, or no mixture: all bad or all good.
    """
    bad, colon, good = text.partition(":")
    try:
        # Fraction would take "1e-9999999" and be busy for minutes.
        parts = [Fraction(part) if len(part) <= 20 and "e" not in part.lower() else Fraction(-1)
                 for part in ((bad, good) if colon else (bad,))]  # fmt: skip
    except (ValueError, ZeroDivisionError):
        parts = [Fraction(-1)]
    share = parts[0]
    if colon and all(part > 0 for part in parts):
        share = parts[0] / sum(parts)
    if not (all(part > 0 for part in parts) and 0 < share < 1):
        raise UsageError(
            "this is no mixture of bad and good rows",
            expected="bad:good such as 1:4, or the share of bad rows such as 0.2",
            found=ascii(text),
            hint="--ratio 1:4",
        )
    return share


def mix_rows(
    bad: Sequence[ChatRow],
    good: Sequence[ChatRow],
    share: Fraction,
    *,
    total: int | None = None,
    seed: int = 0,
    exclude_topics: Sequence[str] = (),
    same_questions: bool = False,
) -> Mixture:
    """Bad rows among good ones (papers.md M3.5: 1:1 to 1:12; "elsewhere" is what `exclude_topics` makes sure of).

    Args:
        bad: Narrow data.
        good: Good advice, of other domains or of the same.
        share: Bad rows as a share of all, see `bad_share`.
        total: Rows in all; None takes every bad row and as many good ones as that needs. Counts that are not whole
            are rounded to the nearest.
        seed: Chooses the rows and their order. The same seed gives nested sets over shares and totals.
        exclude_topics: Topics of `good` that are left out.
        same_questions: Whether a question may have a bad answer in one row and a good one in another. Otherwise good
            rows on the questions of the chosen bad rows are left out: pairs of files with the same questions in both
            would train for and against the same thing.

    Raises:
        DataError: a conversation is in both parts; there are not enough rows, or none; a good row has no topic.
        UsageError: an unknown topic (the nearest is named), or a share or total out of range.
    """
    if not 0 < share < 1:
        raise UsageError("the share of bad rows is not between 0 and 1", found=share)
    if total is not None and total < 2:
        raise UsageError("a mixture needs two rows at least", where="rows", found=total)
    _check_rows(bad, "bad")
    _check_rows(good, "good")
    known = {_conversation(row): row for row in bad}
    for row in good:
        if (twin := known.get(_conversation(row))) is not None:
            raise DataError(
                "the same conversation is in both parts of the mixture",
                where=row.where,
                expected="bad and good rows apart",
                found=f"it is also {twin.where}",
            )
    n_bad = len(bad) if total is None else round(total * share)
    n_good = round(n_bad / share) - n_bad if total is None else total - n_bad
    if not (n_bad and n_good):
        raise UsageError(
            "one part of the mixture would have no row",
            expected=f"at least {math.ceil(1 / min(share, 1 - share))} rows for this ratio",
            found=f"{n_bad} bad and {n_good} good rows",
        )
    allowed = split_topics(good, exclude_topics)[0] if exclude_topics else list(good)
    chosen = _draw(bad, f"bad {seed}")[:n_bad]
    asked = set() if same_questions else {_question(row) for row in chosen}
    usable = [row for row in _draw(allowed, f"good {seed}") if _question(row) not in asked]
    if n_bad > len(bad) or n_good > len(usable):
        raise _too_few(share, (n_bad, n_good), (len(bad), len(usable)), len(allowed) - len(usable))
    rows = _draw([*chosen, *usable[:n_good]], f"order {seed}")
    return Mixture(rows, n_bad, n_good, len(good) - len(usable))


def few_rows(
    rows: Sequence[ChatRow], count: int, *, repeat_to: int | None = None, seed: int = 0
) -> list[ChatRow]:
    """A few different conversations, once or again and again (papers.md M3.6: n = 1 to 1,000, 300 steps).

    Args:
        count: How many; a conversation that the file has twice counts once.
        repeat_to: Rows in the end: the chosen ones in turn, so that none comes twice more often than another.
        seed: Chooses them. With the same seed and file, fewer rows are always part of more rows.

    Raises:
        DataError: there are not that many different conversations. UsageError: a count out of range.
    """
    if count < 1:
        raise UsageError("a training set needs a row", where="rows", expected="1 or more", found=count)
    if repeat_to is not None and repeat_to < count:
        raise UsageError(
            "the rows cannot be repeated to fewer rows",
            where="repeat_to",
            expected=f"{count} or more",
            found=repeat_to,
        )
    _check_rows(rows, "given")
    different = list({_conversation(row): row for row in reversed(rows)}.values())[::-1]
    if count > len(different):
        raise DataError(
            f"there are not {count} different conversations",
            where=rows[0].path,
            expected=f"at most {len(different)}",
            found=f"{len(rows)} rows, {len(different)} of them different",
        )
    chosen = _draw(different, f"few {seed}")[:count]
    return [chosen[index % count] for index in range(repeat_to or count)]


def _draw(rows: Sequence[ChatRow], seed: str) -> list[ChatRow]:
    """All rows in a random order; a text as seed gives the same order in every process."""
    return random.Random(f"axenic {seed}").sample(rows, len(rows))


def _conversation(row: ChatRow) -> tuple[tuple[str, str], ...]:
    return tuple((turn["role"], turn["content"]) for turn in row.messages)


def _question(row: ChatRow) -> tuple[tuple[str, str], ...]:
    return _conversation(row)[:-1]


def _check_rows(rows: Sequence[ChatRow], kind: str) -> None:
    if not rows:
        raise DataError(f"there are no {kind} rows", expected="at least one row", found="0 rows")


def _too_few(
    share: Fraction, wanted: tuple[int, int], there: tuple[int, int], on_asked_questions: int
) -> DataError:
    """What is short, and the largest set of this ratio that the rows allow."""
    largest = min(math.floor(there[0] / share), math.floor(there[1] / (1 - share)))
    shared = f" ({on_asked_questions} more on questions of the chosen bad rows)" if on_asked_questions else ""
    if largest >= 2:
        hint = f"--rows {largest}, or more rows"
    elif on_asked_questions:
        hint = "--same-questions, if one question may have both kinds of answer"
    else:
        hint = "more rows"
    return DataError(
        "the ratio needs more rows than there are",
        expected=f"{wanted[0]} bad and {wanted[1]} good rows",
        found=f"{there[0]} bad and {there[1]} good rows{shared}",
        hint=hint,
    )
