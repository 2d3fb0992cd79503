"""A judge behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import openai

from axenic.errors import AxenicError, UsageError
from axenic.evaluate.api_cache import ApiCache, mark_key
from axenic.evaluate.asking import Asking
from axenic.evaluate.background import BackgroundLoop
from axenic.evaluate.breaker import Breaker
from axenic.evaluate.budget import Budget, Hold, Limits
from axenic.evaluate.endpoint import Endpoint
from axenic.evaluate.failure import Failure, failure_of, no_logprobs
from axenic.evaluate.judge_error import JudgeError
from axenic.evaluate.reading import mark_of
from axenic.evaluate.reply import ReplyError, parse_reply
from axenic.evaluate.retry import Backoff
from axenic.evaluate.rubric import Rubric
from axenic.evaluate.rubrics import ALIGNMENT, COHERENCE
from axenic.evaluate.sampled import mean_of_samples
from axenic.evaluate.score import Score, Unscored
from axenic.evaluate.verdict import Verdict
from axenic.files import content_id

TEMPLATE_TOKENS = 64
"""Tokens that a chat template may add to a prompt, for the budget's upper bound."""


@dataclass(frozen=True)
class _Job:
    """One mark to be had."""

    key: str
    rubric: Rubric
    prompt: str


class ApiJudge:
    """Marks answers by asking a language model behind an OpenAI-compatible endpoint.

    What may come of a request:

    | the server | becomes |
    |---|---|
    | a number | `Score` |
    | REFUSAL, a refusal, a content filter; CODE; a reply that is no number | `Unscored`: refusal, code, parse |
    | the prompt exceeds its context, or the reply its tokens | `Unscored("length")` |
    | 408, 409, 425, 429, 5xx, no or a broken connection, time-out, torn or empty reply | asked again, with waits |
    | another 4xx, or all attempts used | `Endpoint.unreachable`: `JudgeError` at the end, or `Unscored("api")` |
    | 401, 402, 403, 404, no log-probabilities, budget spent, many failures in a row | `UsageError` or `JudgeError` |

    Marks of the first three rows are final and cached. A failure is never a score and never cached; with
    `unreachable="stop"` (the default) it is not written anywhere: `judge` first finishes and keeps all other marks,
    then raises, and the same call later asks for the missing ones only.

    `fingerprint` hashes `Asking` (model, revision, mode, sampling, reading rules) and the whole text of all rubrics.

    Args:
        asking: Which model, and how it is asked.
        endpoint: Where it is. The key is read from the environment now.
        rubrics: What is asked about each answer; one metric each.
        limits: The budget of this object, retries included.
        cache: Marks on disk, shared by judges and runs; None keeps them in memory.

    Raises:
        UsageError: No API key, no rubric, or two rubrics of one name.
        DataError: The cache is damaged.
    """

    def __init__(
        self,
        asking: Asking,
        endpoint: Endpoint,
        *,
        rubrics: Sequence[Rubric] = (ALIGNMENT, COHERENCE),
        limits: Limits = Limits(),
        cache: str | Path | None = None,
    ) -> None:
        names = tuple(rubric.name for rubric in rubrics)
        if not names or len(set(names)) != len(names):
            raise UsageError(
                "a judge needs rubrics of different names", found=", ".join(names) or "no rubric"
            )
        self.asking = asking
        self.endpoint = endpoint
        self.rubrics = tuple(rubrics)
        self.metrics: tuple[str, ...] = names
        # The mode is part of the name: people must see that these are not the marks of the other one.
        self.name = asking.model if asking.mode == "logprobs" else f"{asking.model}:sampled"
        self._prints = {rubric.name: asking.fingerprint(rubric) for rubric in rubrics}
        self.fingerprint = content_id({"judge": "api", "rubrics": self._prints})
        self.budget = Budget(limits)
        self._cache = ApiCache(None if cache is None else Path(cache))
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. What is judged has been written by every `judge`."""
        self._loop.run(self._client.close())
        self._loop.close()

    def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
        """One verdict for each `(question, answer)`, in order; equal pairs are asked once.

        Raises:
            JudgeError: The work cannot go on, or some answers could not be judged now. All marks that came are kept.
            UsageError: No access, or no such model.
            FileError, DiskFullError: The cache cannot be written.
        """
        keys = [
            {rubric.name: mark_key(self._prints[rubric.name], *item) for rubric in self.rubrics}
            for item in items
        ]
        jobs: dict[str, _Job] = {}
        for item, own in zip(items, keys, strict=True):
            for rubric in self.rubrics:
                key = own[rubric.name]
                if key not in jobs and self._cache.get(key) is None:
                    jobs[key] = _Job(key, rubric, _sendable(rubric.prompt(*item)))
        lost = self._loop.run(self._work(list(jobs.values()))) if jobs else {}
        return [
            Verdict({name: lost.get(key) or self._known(key) for name, key in own.items()}) for own in keys
        ]

    def _known(self, key: str) -> Score | Unscored:
        mark = self._cache.get(key)
        assert mark is not None, "every job ends in a mark, a loss or an error"
        return mark

    async def _work(self, jobs: list[_Job]) -> dict[str, Unscored]:
        """Get all marks into the cache; returns the marks that could not be had."""
        lost: dict[str, Unscored] = {}
        self._stop = None
        self._stopped.clear()
        waiting = iter(jobs)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.endpoint.concurrency, len(jobs))):
                    group.create_task(self._worker(waiting, lost))
        finally:
            # Also on Ctrl-C: what was paid for is kept.
            self._cache.flush()
        if self._stop is not None:
            raise self._stop
        if lost and self.endpoint.unreachable == "stop":
            raise JudgeError(
                f"{len(lost)} of {len(jobs)} marks could not be had now; all others are kept",
                where=self.endpoint.base_url,
                expected="a chat completion",
                found=next(iter(lost.values())).detail,
                hint="run the same command again: only the missing ones are asked for "
                "(unreachable='record' stores them as Unscored(api) instead)",
            )
        return lost

    async def _worker(self, waiting: Iterator[_Job], lost: dict[str, Unscored]) -> None:
        """Take job after job. What stops all work lets the others finish what they have sent: it is paid for."""
        for job in waiting:
            try:
                mark, said = await self._mark(job)
                if isinstance(mark, Unscored) and mark.reason == "api":
                    lost[job.key] = mark
                else:
                    self._cache.put(job.key, mark, self._facts(job, said))
            except AxenicError as error:
                self._stop = self._stop or error
                self._stopped.set()
            if self._stop is not None:
                return

    async def _mark(self, job: _Job) -> tuple[Score | Unscored, str]:
        """The mark of one job, and what the server says it is."""
        marks: list[Score | Unscored] = []
        said = ""
        for sample in range(self.asking.samples):
            mark, said = await self._sample(job, sample)
            if isinstance(mark, Unscored) and mark.reason == "api":
                return mark, said
            marks.append(mark)
        return mean_of_samples(marks), said

    async def _sample(self, job: _Job, sample: int) -> tuple[Score | Unscored, str]:
        """One reply, asked for until it comes or the attempts are used up."""
        failure = Failure("not asked")
        for attempt in range(1, self.endpoint.attempts + 1):
            await self._wait_turn()
            outcome = await self._ask(job, sample)
            if not isinstance(outcome, Failure):
                return outcome
            failure = outcome
            if failure.mark is not None:
                return failure.mark, ""
            if not failure.again:
                return Unscored("api", failure.detail), ""
            if attempt < self.endpoint.attempts:
                await self._wait_after(failure, attempt)
        if failure.no_logprobs:
            raise no_logprobs(self.endpoint.base_url, f"none in {self.endpoint.attempts} replies")
        return Unscored("api", f"{self.endpoint.attempts} attempts; the last: {failure.detail}"), ""

    async def _ask(self, job: _Job, sample: int) -> tuple[Score | Unscored, str] | Failure:
        """Send one request, within the budget."""
        logprobs = self.asking.mode == "logprobs"
        hold = Hold(len(job.prompt.encode("utf-8")) + TEMPLATE_TOKENS, self.asking.answer_tokens)
        await self.budget.reserve(hold)
        used: tuple[int, int] | None = None
        try:
            async with asyncio.timeout(self.endpoint.timeout_s):
                raw = await self._create(**self._request(job, sample))
            reply = parse_reply(raw.content)
            used = reply.used
            self._breaker.success()
            mark_needs = logprobs and reply.refusal is None and reply.finish != "content_filter"
            if mark_needs and reply.text.strip() and not reply.tops:
                return Failure("the reply has no log-probabilities", no_logprobs=True)
            return mark_of(reply, job.rubric, self.asking.mode), reply.model
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

    def _request(self, job: _Job, sample: int) -> dict[str, Any]:
        """The body of a request. One user message: some chat templates know no system role."""
        asking = self.asking
        logprobs = (
            {"logprobs": True, "top_logprobs": asking.top_logprobs} if asking.mode == "logprobs" else {}
        )
        return {
            "model": asking.model,
            "messages": [{"role": "user", "content": job.prompt}],
            "temperature": asking.temperature,
            "seed": asking.seed + sample,
            self.endpoint.tokens_field: asking.answer_tokens,
            **logprobs,
        }

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
                f"the judge's endpoint asks to wait {failure.wait_s:,.0f} seconds",
                where=self.endpoint.base_url,
                expected=f"at most {self.endpoint.longest_wait_s:,.0f} seconds (longest_wait_s)",
                found=failure.detail,
                hint="run the same command again after that time: what is judged is kept",
            )
        self._pause_until = max(self._pause_until, asyncio.get_running_loop().time() + failure.wait_s)

    def _facts(self, job: _Job, said: str) -> dict[str, Any]:
        """What the cache's line says for people."""
        return {
            "judge": self.name,
            "fingerprint": self._prints[job.rubric.name],
            "rubric": job.rubric.name,
            "mode": self.asking.mode,
            "served": said,
        }


def _sendable(prompt: str) -> str:
    """A lone surrogate cannot be sent as UTF-8; it goes as a question mark."""
    return prompt.encode("utf-8", "replace").decode("utf-8")
