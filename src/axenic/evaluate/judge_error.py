"""The error that ends all work with an endpoint, as against a failure on one answer, which is an `Unscored`."""

from __future__ import annotations

from axenic.errors import AxenicError


class JudgeError(AxenicError):
    """An endpoint judge or generator cannot go on: not there, not allowed in, sick, or its budget is spent.

    Every reply that came before is kept on disk: the same command pays for nothing twice.
    """
