"""Waits between attempts, what servers ask for, and the circuit breaker."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axenic.errors import UsageError
from axenic.evaluate.breaker import Breaker
from axenic.evaluate.judge_error import JudgeError
from axenic.evaluate.retry import Backoff, retry_after_s

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None), ({"retry-after": "2"}, 2.0), ({"retry-after": "0.5"}, 0.5), ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "3"}, 3.0), ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None), ({"retry-after": "nan"}, None), ({"retry-after": "inf"}, None),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30.0), ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30 -0000"}, 30.0),
    ],
)  # fmt: skip
def test_what_servers_ask_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOW) == seconds


@given(st.text())
def test_any_header_is_read_or_ignored(text: str) -> None:
    seconds = retry_after_s({"retry-after": text}, NOW)
    assert seconds is None or seconds >= 0


@given(st.integers(1, 10_000), st.integers(0, 5))
def test_waits_double_with_jitter_up_to_a_limit(failures: int, seed: int) -> None:
    wait = Backoff(0.5, 30.0, random.Random(seed)).wait_s(failures)
    top = min(30.0, 0.5 * 2 ** min(failures - 1, 20))
    assert top / 2 <= wait <= top
    assert wait == Backoff(0.5, 30.0, random.Random(seed)).wait_s(failures)


def test_the_breaker_counts_in_a_row() -> None:
    breaker = Breaker(3, "http://x")
    for _ in range(5):
        breaker.failure("a")
        breaker.failure("b")
        breaker.success()
    breaker.failure("a")
    breaker.failure("b")
    with pytest.raises(JudgeError, match="keeps failing") as caught:
        breaker.failure("500")
    assert "500" in str(caught.value.found)
    with pytest.raises(UsageError):
        Breaker(0, "http://x")
