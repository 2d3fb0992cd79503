"""A failed request, sorted by what is to be done: ask again, mark the answer, leave it, or stop all work."""

from __future__ import annotations

import re
from dataclasses import dataclass

import openai

from axenic.errors import AxenicError, UsageError
from axenic.evaluate.judge_error import JudgeError
from axenic.evaluate.reading import USE_SAMPLED
from axenic.evaluate.reply import ReplyError
from axenic.evaluate.retry import retry_after_s
from axenic.evaluate.sampled import shown
from axenic.evaluate.score import Unscored

AGAIN = (408, 409, 425, 429)
"""Statuses below 500 after which the same request may succeed."""

_TOO_LONG = re.compile(r"context.?(length|window)|maximum context|too many tokens|prompt is too long", re.I)
_FILTERED = re.compile(r"content.?(filter|policy|management)|safety system", re.I)
_QUOTA = ("insufficient_quota", "billing_hard_limit_reached")


@dataclass(frozen=True)
class Failure:
    """What went wrong with one request.

    Args:
        detail: For people; without the key.
        again: Whether asking again may help.
        mark: The mark that this failure IS: the server says that it will never mark this answer.
        wait_s: What the server asks to wait, in seconds.
        free: No tokens were charged.
        sick: The server is at fault; counts for the breaker.
        no_logprobs: The reply was fine but for its log-probabilities.
    """

    detail: str
    again: bool = True
    mark: Unscored | None = None
    wait_s: float | None = None
    free: bool = False
    sick: bool = True
    no_logprobs: bool = False


def failure_of(
    error: TimeoutError | openai.APIError | ReplyError, where: str, secret: str | None = None
) -> Failure | AxenicError:
    """Sort one error of a request.

    Args:
        error: What the client raised, or what was wrong with the reply.
        where: The endpoint's address, for messages.
        secret: The API key: a server may repeat it, and it must not be shown.

    Returns:
        A failure of this request, or the error that ends all work: no access (401, 402, 403, spent quota), no such
        address or model (404), no log-probabilities (400).
    """
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, where, secret)
    if isinstance(error, ReplyError):
        return Failure(str(error))
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return Failure("no reply within the time-out")
    cause = error.__cause__
    return Failure(
        f"the connection failed ({type(cause or error).__name__}: {shown(str(cause or error), 120)})"
    )


def _of_status(error: openai.APIStatusError, where: str, secret: str | None) -> Failure | AxenicError:
    status, code = error.status_code, str(error.code or "")
    message = error.message.replace(secret, "[key]") if secret else error.message
    said = f"{status} {code} {shown(message, 200)}"
    if status in (401, 402, 403) or code in _QUOTA:
        # The server's words may repeat parts of the key.
        return UsageError(
            "the endpoint refuses access",
            where=where,
            expected="a key with access and credit",
            found=f"HTTP {status} {code}".strip(),
            hint="check the API key and its account, then run the same command again",
        )
    if status == 404:
        return UsageError(
            "the endpoint has no such address or model",
            where=where,
            expected="base_url up to /v1, and a model of this server",
            found=said,
            hint=f"list its models: curl {where}/models",
        )
    if status in AGAIN or status >= 500:
        wait = retry_after_s(error.response.headers)
        return Failure(said, wait_s=wait, free=True, sick=status != 429)
    words = f"{code} {error.message}"
    if _TOO_LONG.search(words) or status == 413:
        return Failure(said, again=False, mark=Unscored("length", said), free=True, sick=False)
    if _FILTERED.search(words):
        return Failure(said, again=False, mark=Unscored("refusal", said), free=True, sick=False)
    if "logprob" in words:
        return no_logprobs(where, said)
    return Failure(said, again=False, free=True)


def no_logprobs(where: str, found: str) -> JudgeError:
    """The error of a server that gives no log-probabilities, in the mode that needs them."""
    return JudgeError(
        "the judge's endpoint gives no log-probabilities",
        where=where,
        expected="choices[0].logprobs.content[0].top_logprobs",
        found=found,
        hint=USE_SAMPLED,
    )
