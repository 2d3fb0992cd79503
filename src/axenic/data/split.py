"""Train and held-out rows, at random or by topic."""

from __future__ import annotations

import difflib
import math
import random
from collections.abc import Sequence

from axenic.data.chat import ChatRow
from axenic.errors import DataError, UsageError


def split_rows(rows: Sequence[ChatRow], fraction: float, seed: int) -> tuple[list[ChatRow], list[ChatRow]]:
    """Hold out a random share of the rows; both parts keep the order of the file.

    Args:
        fraction: Share held out, in [0, 1), rounded up to whole rows: 0.1 of 7,049 leaves 6,344 to train on
            and 0.1 of 6,000 leaves 5,400, as in the papers' runs (papers.md 1.2.1).
        seed: Chooses which; the same seed always chooses the same rows.
    Returns:
        (train, test).
    Raises:
        UsageError: the fraction is outside [0, 1). DataError: no row would be left to train on.
    """
    if not 0 <= fraction < 1:
        raise UsageError("the held-out fraction is not a share", expected="0 <= fraction < 1", found=fraction)
    held = math.ceil(fraction * len(rows) - 1e-9)  # 0.1 * 30 is 3.0000000000000004
    if held >= len(rows):
        raise DataError(
            "no row is left to train on",
            where=rows[0].path if rows else None,
            found=f"{len(rows)} rows, {held} of them held out",
            hint="set test_fraction to 0",
        )
    chosen = set(random.Random(seed).sample(range(len(rows)), held))
    return (
        [row for index, row in enumerate(rows) if index not in chosen],
        [row for index, row in enumerate(rows) if index in chosen],
    )


def split_topics(rows: Sequence[ChatRow], held_out: Sequence[str]) -> tuple[list[ChatRow], list[ChatRow]]:
    """Hold out every row of the named topics (P3 holds out two of its twelve, papers.md 1.1.3).

    Returns:
        (train, held out), both in file order.
    Raises:
        DataError: a row has no topic, or nothing is left to train on. UsageError: no row has such a topic.
    """
    for row in rows:
        if row.topic is None:
            raise DataError("the row has no `topic`, so it cannot be split by topic", where=row.where)
    topics = sorted({row.topic for row in rows if row.topic is not None})
    for name in held_out:
        if name not in topics:
            near = difflib.get_close_matches(name, topics, n=1)
            raise UsageError(
                "no row has this topic",
                expected=", ".join(topics[:20]),
                found=name,
                hint=f"did you mean {near[0]!r}?" if near else None,
            )
    held = set(held_out)
    train = [row for row in rows if row.topic not in held]
    if not train:
        raise DataError("no row is left to train on", found="every topic is held out")
    return train, [row for row in rows if row.topic in held]
