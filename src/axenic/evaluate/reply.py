"""A chat completion as it came over the wire, checked before anything is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from axenic.files.jsontext import parse_json


class ReplyError(ValueError):
    """The body is not a usable chat completion: asking again may help."""


@dataclass(frozen=True)
class Reply:
    """What of a chat completion a judge needs.

    Attributes:
        text: What the judge wrote; may be empty if it refused, was filtered or cut.
        finish: Why it ended: `stop`, `length`, `content_filter`, or what the server says.
        refusal: The refusal message, if the server tells refusals apart.
        tokens: The tokens of the text, if log-probabilities came with it.
        tops: For each of `tokens`, the likeliest tokens at its place -> log-probability (nats), itself among them;
            empty if the server gave none.
        used: (prompt tokens, reply tokens) by the server's count, if it gave one.
        model: What the server says it is.
    """

    text: str
    finish: str
    refusal: str | None
    tokens: tuple[str, ...]
    tops: tuple[Mapping[str, float], ...]
    used: tuple[int, int] | None
    model: str


def parse_reply(raw: bytes) -> Reply:
    """Read the body of a chat completion.

    Raises:
        ReplyError: Not whole JSON, no choice, an empty choice, or a part of another type.
    """
    try:
        body = parse_json(raw)
    except ValueError as error:
        raise ReplyError(f"the reply is not JSON ({error})") from error
    choices = _part(body, "choices", list)
    if not choices:
        raise ReplyError("the reply has no choice")
    choice = choices[0]
    message = _part(choice, "message", dict)
    text = _part(message, "content", str) or ""
    refusal = _part(message, "refusal", str)
    finish = _part(choice, "finish_reason", str) or ""
    if not text.strip() and not refusal and finish not in ("length", "content_filter"):
        raise ReplyError("the reply is empty")
    places = _part(_part(choice, "logprobs", dict) or {}, "content", list) or []
    return Reply(
        text,
        finish,
        refusal or None,
        tuple(_part(place, "token", str) or "" for place in places),
        # A server that gives the said token's probability only does not give a distribution.
        tuple(_top(place) for place in places) if all(map(_has_top, places)) else (),
        _used(_part(body, "usage", dict)),
        _part(body, "model", str) or "",
    )


def _has_top(place: Any) -> bool:
    return bool(_part(place, "top_logprobs", list))


def _top(place: Any) -> dict[str, float]:
    """The likeliest tokens at one place. The one that was said is added if it is not among them."""
    top: dict[str, float] = {}
    for entry in [*(_part(place, "top_logprobs", list) or []), place]:
        token, logprob = _part(entry, "token", str), entry.get("logprob")
        if token is None or isinstance(logprob, bool) or not isinstance(logprob, int | float):
            raise ReplyError("a log-probability is missing")
        # The same token twice is one token, not twice the probability.
        top.setdefault(token, float(logprob))
    return top


def _used(usage: Any) -> tuple[int, int] | None:
    if usage is None:
        return None
    counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    if any(isinstance(count, bool) or not isinstance(count, int) or count < 0 for count in counts):
        return None
    return counts


def _part(body: Any, key: str, kind: type) -> Any:
    """The value of a key: of this type, or None."""
    if not isinstance(body, dict):
        raise ReplyError(f"no object where {key} was expected")
    value = body.get(key)
    if value is not None and not isinstance(value, kind):
        raise ReplyError(f"{key} is not of type {kind.__name__}")
    return value
