"""The error that ends a judge's work, as against a failure on one answer, which is an `Unscored`."""

from __future__ import annotations

from axenic.errors import AxenicError


class JudgeError(AxenicError):
    """An endpoint judge cannot go on: not there, not allowed in, sick, or its budget is spent.

    Every mark that it gave before is in the cache, if it has one: the same command pays for nothing twice.
    """
