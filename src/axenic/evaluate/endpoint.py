"""Where a server is, and how hard it may be asked: nothing here can change a reply."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Literal

from axenic.errors import UsageError


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible server: OpenAI, Azure (`https://NAME.openai.azure.com/openai/v1`), vLLM, Ollama, OpenRouter.

    Args:
        base_url: Up to and without `/chat/completions`.
        key_env: NAME of the environment variable that holds the API key; None for a server without one. The key
            itself is never stored, printed or hashed.
        concurrency: Requests under way at once.
        timeout_s: Seconds for one whole request; a server that sends byte after byte does not get longer.
        attempts: How often one request is sent before it counts as failed.
        backoff_s: First wait after a failure (seconds); doubles, with jitter.
        longest_backoff_s: No such wait is longer (seconds).
        longest_wait_s: A server that asks for a longer wait by Retry-After ends the work (seconds).
        breaker: Failures in a row, over all requests, that end the work.
        jitter_seed: Of the jitter.
        tokens_field: What the server calls the limit on reply tokens; newer OpenAI models want the second.
        unreachable: What becomes of an answer whose request failed at every attempt. `stop`: the others are judged
            and kept, then `JudgeError` is raised, and the same command asks again for the missing ones only.
            `record`: it is `Unscored("api")`, for good where verdicts are stored; it is never cached.

    Raises:
        UsageError: A value cannot be meant.
    """

    base_url: str
    key_env: str | None = "OPENAI_API_KEY"
    concurrency: int = 16
    timeout_s: float = 60.0
    attempts: int = 6
    backoff_s: float = 0.5
    longest_backoff_s: float = 30.0
    longest_wait_s: float = 120.0
    breaker: int = 32
    jitter_seed: int = 0
    tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    unreachable: Literal["stop", "record"] = "stop"

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise UsageError(
                "the endpoint's base_url is no web address",
                expected="http://... or https://..., e.g. http://localhost:8000/v1",
                found=repr(self.base_url),
            )
        for name, count in (
            ("concurrency", self.concurrency), ("attempts", self.attempts), ("breaker", self.breaker),
        ):  # fmt: skip
            if count < 1:
                raise UsageError(f"the endpoint's {name} is too small", expected="1 or more", found=count)
        for name, seconds in (
            ("timeout_s", self.timeout_s), ("backoff_s", self.backoff_s),
            ("longest_backoff_s", self.longest_backoff_s), ("longest_wait_s", self.longest_wait_s),
        ):  # fmt: skip
            if not (math.isfinite(seconds) and seconds > 0):
                raise UsageError(
                    f"the endpoint's {name} is out of range", expected="seconds above 0", found=seconds
                )
        if self.unreachable not in ("stop", "record"):
            raise UsageError("unknown `unreachable`", expected="stop or record", found=repr(self.unreachable))

    def key(self) -> str:
        """The API key from the environment.

        Raises:
            UsageError: The variable is not set, empty, or holds characters that no key has.
        """
        if self.key_env is None:
            # The client insists on one; servers without keys ignore it.
            return "none"
        key = os.environ.get(self.key_env, "").strip()
        if not (key and key.isascii() and key.isprintable()):
            raise UsageError(
                "there is no API key for the endpoint",
                where=self.base_url,
                expected=f"the key in the environment variable {self.key_env}",
                found="it holds something that is no key" if key else "it is not set",
                hint=f"export {self.key_env}=...   (or key_env=None for a server without keys)",
            )
        return key
