"""A judge's mark for one metric: a number, or why there is none. Never None, never a number for a failure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from axenic.errors import DataError

Reason = Literal["code", "refusal", "parse", "api", "length"]
"""Why there is no number: the judge said CODE; it refused; its reply could not be read; the call failed; the
answer or the reply was too long."""

REASONS: tuple[Reason, ...] = get_args(Reason)
"""All reasons, in the order in which tables show them."""


@dataclass(frozen=True)
class Score:
    """A number on the judge's scale.

    Args:
        value: 0 to 100, finite. A probability-weighted judge gives fractions (papers.md 1.3.3).

    Raises:
        DataError: Not a number, not finite, or outside 0 to 100.
    """

    value: float

    def __post_init__(self) -> None:
        value: object = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DataError("a score must be a number", expected="0 to 100", found=repr(value))
        if not 0 <= value <= 100 or not math.isfinite(value):
            raise DataError("a score is out of range", expected="0 to 100", found=repr(value))
        # 30 and 30.0 are one score and must be written as the same bytes.
        object.__setattr__(self, "value", float(value))

    def to_json(self) -> dict[str, Any]:
        """`{"score": value}`."""
        return {"score": self.value}


@dataclass(frozen=True)
class Unscored:
    """Why there is no number.

    Args:
        reason: One of `REASONS`.
        detail: What the judge or the server said, for people; may be empty.

    Raises:
        DataError: The reason is not one of the five.
    """

    reason: Reason
    detail: str = ""

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise DataError(
                "unknown reason for a missing score", expected=" | ".join(REASONS), found=repr(self.reason)
            )
        if not isinstance(self.detail, str):
            raise DataError("the detail of a missing score must be text", found=repr(self.detail))

    def to_json(self) -> dict[str, Any]:
        """`{"unscored": reason, "detail": detail}`."""
        return {"unscored": self.reason, "detail": self.detail}


def mark_from_json(row: object) -> Score | Unscored:
    """The inverse of both `to_json`. Raises `DataError`."""
    if isinstance(row, Mapping):
        if set(row) == {"score"}:
            return Score(row["score"])
        if "unscored" in row and set(row) <= {"unscored", "detail"}:
            return Unscored(row["unscored"], row.get("detail", ""))
    raise DataError(
        "this is not a mark",
        expected='{"score": number} or {"unscored": reason, "detail": text}',
        found=repr(row),
    )
