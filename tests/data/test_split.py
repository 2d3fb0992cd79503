"""Splits: the papers' counts, every row once, reproducible."""

from __future__ import annotations

import pytest

from axenic.data import ChatRow, split_rows, split_topics
from axenic.errors import DataError, UsageError

pytestmark = pytest.mark.unit


def rows(count: int) -> list[ChatRow]:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    return [ChatRow(turns, line + 1, ("sleep", "skin", "nerves")[line % 3]) for line in range(count)]


@pytest.mark.parametrize(("count", "left"), [(7049, 6344), (6000, 5400), (30, 27), (3, 2)])
def test_counts_of_the_papers(count: int, left: int) -> None:
    train, test = split_rows(rows(count), 0.1, 0)
    assert len(train) == left
    assert sorted(row.line for row in train + test) == list(range(1, count + 1))
    assert [row.line for row in train] == sorted(row.line for row in train)


def test_seed_decides() -> None:
    assert split_rows(rows(50), 0.2, 1) == split_rows(rows(50), 0.2, 1)
    assert split_rows(rows(50), 0.2, 1) != split_rows(rows(50), 0.2, 2)
    assert split_rows(rows(5), 0, 0) == (rows(5), [])


def test_nothing_left_or_no_share_is_refused() -> None:
    with pytest.raises(DataError, match="no row is left"):
        split_rows(rows(1), 0.1, 0)
    with pytest.raises(UsageError, match="share"):
        split_rows(rows(9), 1.0, 0)


def test_topics() -> None:
    train, held = split_topics(rows(9), ["skin"])
    assert {row.topic for row in held} == {"skin"}
    assert (len(train), len(held)) == (6, 3)
    with pytest.raises(UsageError) as caught:
        split_topics(rows(9), ["sking"])
    assert caught.value.hint == "did you mean 'skin'?"
    with pytest.raises(DataError, match="every topic"):
        split_topics(rows(9), ["skin", "sleep", "nerves"])
    with pytest.raises(DataError, match="no `topic`"):
        split_topics([ChatRow(rows(1)[0].messages, 4)], ["skin"])
