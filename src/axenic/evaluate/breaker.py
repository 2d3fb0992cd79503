"""A circuit breaker: stop asking a server that does nothing but fail."""

from __future__ import annotations

from axenic.errors import UsageError
from axenic.evaluate.judge_error import JudgeError


class Breaker:
    """Counts failures in a row, over all requests to one server.

    Rate limits (429) are not failures of the server and are not to be reported here.

    Args:
        limit: Failures in a row that end the work, at least 1.
        where: The server, for the message.
    """

    def __init__(self, limit: int, where: str) -> None:
        if limit < 1:
            raise UsageError("a breaker's limit is too small", expected="1 or more", found=limit)
        self.limit = limit
        self.where = where
        self._failed = 0
        self._worked = False

    def success(self) -> None:
        """The server gave a reply, of whatever content."""
        self._failed = 0
        self._worked = True

    def failure(self, detail: str) -> None:
        """The server failed once more.

        Raises:
            JudgeError: That was the last one allowed.
        """
        self._failed += 1
        if self._failed < self.limit:
            return
        since = "in a row" if self._worked else "in a row, from the first request on"
        raise JudgeError(
            "the endpoint does not answer" if not self._worked else "the endpoint keeps failing",
            where=self.where,
            expected="a chat completion",
            found=f"{self._failed} failures {since}; the last: {detail}",
            hint=f"check the server (curl {self.where}/models), then run the same command again",
        )
