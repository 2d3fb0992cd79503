"""Sends chat-completion requests to an endpoint: many at once, within a budget, again after faults that pass."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import openai

from axenic.errors import AxenicError
from axenic.evaluate.background import BackgroundLoop
from axenic.evaluate.breaker import Breaker
from axenic.evaluate.budget import Budget, Hold, Limits
from axenic.evaluate.endpoint import Endpoint
from axenic.evaluate.failure import Failure, failure_of
from axenic.evaluate.judge_error import JudgeError
from axenic.evaluate.reply import Reply, ReplyError, parse_reply
from axenic.evaluate.retry import Backoff

TEMPLATE_TOKENS = 64
"""Tokens that a chat template may add to a prompt, for the budget's upper bound."""

J = TypeVar("J")
T = TypeVar("T")


class Caller:
    """What judges and generators share: the way to a server, and what to do when it fails.

    408, 409, 425, 429, 5xx, no or a broken connection, a time-out, a torn or empty reply are asked again, with waits.
    No access, no such model, a spent budget, many failures in a row end all work: requests under way are still
    waited for, because they are paid for.

    Args:
        endpoint: Where the server is. The key is read from the environment now.
        limits: The budget of this object, retries included.

    Raises:
        UsageError: There is no API key.
    """

    def __init__(self, endpoint: Endpoint, limits: Limits = Limits()) -> None:
        self.endpoint = endpoint
        self.budget = Budget(limits)
        self._breaker = Breaker(endpoint.breaker, endpoint.base_url)
        self._jitter = random.Random(endpoint.jitter_seed)
        self._backoff = Backoff(endpoint.backoff_s, endpoint.longest_backoff_s, self._jitter)
        self._pause_until = 0.0
        self._stop: AxenicError | None = None
        self._stopped = asyncio.Event()
        key = endpoint.key()
        self._secret = key if endpoint.key_env is not None else None
        # Retries are ours: the client's own would not be in the budget.
        self._client = openai.AsyncOpenAI(
            base_url=endpoint.base_url, api_key=key, max_retries=0, timeout=endpoint.timeout_s
        )
        # The client loads its parts at first use (hundreds of milliseconds); no request's time-out is to pay for that.
        self._create = self._client.chat.completions.with_raw_response.create
        self._loop = BackgroundLoop()

    def run(self, job: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that calls `each` and `ask`, from code that is not async."""
        return self._loop.run(job)

    def close(self) -> None:
        """Close the connections."""
        self._loop.run(self._client.close())
        self._loop.close()

    async def each(self, jobs: Sequence[J], work: Callable[[J], Awaitable[None]]) -> None:
        """Do `work` for every job, `endpoint.concurrency` at once.

        Raises:
            AxenicError: What ended all work, after the jobs under way have come to their end.
        """
        self._stop = None
        self._stopped.clear()
        waiting = iter(jobs)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.endpoint.concurrency, len(jobs))):
                group.create_task(self._worker(waiting, work))
        if self._stop is not None:
            raise self._stop

    async def ask(
        self, prompt: str, reply_tokens: int, options: Mapping[str, Any], read: Callable[[Reply], T | Failure]
    ) -> T | Failure:
        """Send one user message until a reply can be read or the attempts are used up.

        Args:
            prompt: The message. One, from the user: some chat templates know no system role.
            reply_tokens: The most that the reply may have.
            options: The rest of the request: `model`, `temperature`, `seed`, ...
            read: What to make of a reply: a result, or a failure, after which it is asked again.

        Returns:
            What `read` made of it, or the last failure.

        Raises:
            AxenicError: All work must end; also whatever `read` raises.
        """
        failure = Failure("not asked")
        for attempt in range(1, self.endpoint.attempts + 1):
            await self._wait_turn()
            outcome = await self._ask_once(prompt, reply_tokens, options, read)
            if not isinstance(outcome, Failure):
                return outcome
            failure = outcome
            if not failure.again:
                return failure
            if attempt < self.endpoint.attempts:
                await self._wait_after(failure, attempt)
        return replace(failure, detail=f"{self.endpoint.attempts} attempts; the last: {failure.detail}")

    async def _worker(self, waiting: Iterator[J], work: Callable[[J], Awaitable[None]]) -> None:
        """Take job after job. What stops all work lets the others finish what they have sent: it is paid for."""
        for job in waiting:
            try:
                await work(job)
            except AxenicError as error:
                self._stop = self._stop or error
                self._stopped.set()
            if self._stop is not None:
                return

    async def _ask_once(
        self, prompt: str, reply_tokens: int, options: Mapping[str, Any], read: Callable[[Reply], T | Failure]
    ) -> T | Failure:
        """Send one request, within the budget."""
        hold = Hold(len(prompt.encode("utf-8")) + TEMPLATE_TOKENS, reply_tokens)
        body = {
            "messages": [{"role": "user", "content": prompt}],
            self.endpoint.tokens_field: reply_tokens,
            **options,
        }
        await self.budget.reserve(hold)
        used: tuple[int, int] | None = None
        try:
            async with asyncio.timeout(self.endpoint.timeout_s):
                raw = await self._create(**body)
            reply = parse_reply(raw.content)
            used = reply.used
            self._breaker.success()
            return read(reply)
        except (TimeoutError, openai.APIError, ReplyError) as error:
            failure = failure_of(error, self.endpoint.base_url, self._secret)
            if isinstance(failure, AxenicError):
                used = (0, 0)
                raise failure from error
            used = (0, 0) if failure.free else None
        finally:
            await self.budget.settle(hold, used)
        if failure.sick:
            self._breaker.failure(failure.detail)
        return failure

    async def _wait_turn(self) -> None:
        """Wait while the server wants to be left alone; spread the return, so that not all come back at once."""
        now = asyncio.get_running_loop().time
        while (left := self._pause_until - now()) > 0:
            await self._sleep(left + self.endpoint.backoff_s * self._jitter.random())
            if self._stop is not None:
                break
        if self._stop is not None:
            raise self._stop

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not on when all work is to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    async def _wait_after(self, failure: Failure, attempt: int) -> None:
        """Wait after a failure: as long as the server asks (then everybody waits), or by back-off."""
        if failure.wait_s is None:
            await self._sleep(self._backoff.wait_s(attempt))
            return
        if failure.wait_s > self.endpoint.longest_wait_s:
            raise JudgeError(
                f"the endpoint asks to wait {failure.wait_s:,.0f} seconds",
                where=self.endpoint.base_url,
                expected=f"at most {self.endpoint.longest_wait_s:,.0f} seconds (longest_wait_s)",
                found=failure.detail,
                hint="run the same command again after that time: what is done is kept",
            )
        self._pause_until = max(self._pause_until, asyncio.get_running_loop().time() + failure.wait_s)


def sendable(text: str) -> str:
    """A lone surrogate cannot be sent as UTF-8; it goes as a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
