"""A judge behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from axenic.errors import UsageError
from axenic.evaluate.api_cache import ApiCache, mark_key
from axenic.evaluate.asking import Asking
from axenic.evaluate.budget import Limits
from axenic.evaluate.caller import Caller, sendable
from axenic.evaluate.endpoint import Endpoint
from axenic.evaluate.failure import Failure, no_logprobs
from axenic.evaluate.judge_error import JudgeError
from axenic.evaluate.reading import mark_of
from axenic.evaluate.reply import Reply
from axenic.evaluate.rubric import Rubric
from axenic.evaluate.rubrics import ALIGNMENT, COHERENCE
from axenic.evaluate.sampled import mean_of_samples
from axenic.evaluate.score import Score, Unscored
from axenic.evaluate.verdict import Verdict
from axenic.files import content_id


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
        self._cache = ApiCache(None if cache is None else Path(cache))
        self._caller = Caller(endpoint, limits)
        self.budget = self._caller.budget

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. What is judged has been written by every `judge`."""
        self._caller.close()

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
                    jobs[key] = _Job(key, rubric, sendable(rubric.prompt(*item)))
        lost = self._caller.run(self._work(list(jobs.values()))) if jobs else {}
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

        async def have(job: _Job) -> None:
            mark, said = await self._mark(job)
            if isinstance(mark, Unscored) and mark.reason == "api":
                lost[job.key] = mark
            else:
                self._cache.put(job.key, mark, self._facts(job, said))

        try:
            await self._caller.each(jobs, have)
        finally:
            # Also on Ctrl-C: what was paid for is kept.
            self._cache.flush()
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
        outcome = await self._caller.ask(
            job.prompt,
            self.asking.answer_tokens,
            self._options(sample),
            lambda reply: self._read(reply, job.rubric),
        )
        if not isinstance(outcome, Failure):
            return outcome
        if outcome.mark is not None:
            return outcome.mark, ""
        if outcome.no_logprobs:
            raise no_logprobs(self.endpoint.base_url, f"none in {self.endpoint.attempts} replies")
        return Unscored("api", outcome.detail), ""

    def _read(self, reply: Reply, rubric: Rubric) -> tuple[Score | Unscored, str] | Failure:
        """The mark in a reply, and what the server says it is; a failure if what the mark is made of is missing."""
        mark_needs = (
            self.asking.mode == "logprobs" and reply.refusal is None and reply.finish != "content_filter"
        )
        if mark_needs and reply.text.strip() and not reply.tops:
            return Failure("the reply has no log-probabilities", no_logprobs=True)
        return mark_of(reply, rubric, self.asking.mode), reply.model

    def _options(self, sample: int) -> dict[str, Any]:
        """What of a request is the same for all prompts."""
        asking = self.asking
        logprobs = (
            {"logprobs": True, "top_logprobs": asking.top_logprobs} if asking.mode == "logprobs" else {}
        )
        return {
            "model": asking.model,
            "temperature": asking.temperature,
            "seed": asking.seed + sample,
            **logprobs,
        }

    def _facts(self, job: _Job, said: str) -> dict[str, Any]:
        """What the cache's line says for people."""
        return {
            "judge": self.name,
            "fingerprint": self._prints[job.rubric.name],
            "rubric": job.rubric.name,
            "mode": self.asking.mode,
            "served": said,
        }
