"""How long to wait before asking again."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


class Backoff:
    """Exponential waits with jitter, so that many clients do not come back all at once.

    Args:
        first_s: The first wait lies between half of this and this (seconds).
        longest_s: No wait is longer (seconds).
        generator: Source of the jitter.
    """

    def __init__(self, first_s: float, longest_s: float, generator: random.Random) -> None:
        self.first_s = first_s
        self.longest_s = longest_s
        self._generator = generator

    def wait_s(self, failures: int) -> float:
        """Seconds to wait after so many failures of one request (1 or more)."""
        # 2**60 first waits are beyond any limit; more would overflow a float.
        top = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 60))
        return top * (0.5 + 0.5 * self._generator.random())


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a server asks to wait, or None if it does not say, or says nothing that can be read.

    `retry-after-ms` (milliseconds; OpenAI, Azure) goes before `retry-after`: seconds, or an HTTP date (RFC 9110).

    Args:
        headers: Keys in small letters, or a mapping that does not care.
        now: The time that a date is counted from; the clock's if None.
    """
    for key, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        text = headers.get(key, "").strip()
        try:
            seconds = float(text) * unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, IndexError, OverflowError):
        return None
    # "-0000" gives a date without a zone; HTTP dates are UTC.
    date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
