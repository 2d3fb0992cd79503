"""From `--judge` to a judge: the nano rule, a model on this machine, or a server."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from axenic.cli.display import Display
from axenic.cli.work import unknown_name
from axenic.errors import UsageError

if TYPE_CHECKING:
    from axenic.evaluate import Judge, Trait

KINDS = ("nano", "local:MODEL", "MODEL@BASE_URL")
MARKS = "marks.jsonl"
"""What servers and local models said, beside the scores: nothing is paid for twice."""


def open_judge(
    stack: ExitStack,
    display: Display,
    name: str,
    *,
    cache: Path,
    metrics: str | None = None,
    trait: Trait | None = None,
    mode: Literal["logprobs", "sampled"] = "logprobs",
    key_env: str = "OPENAI_API_KEY",
    max_requests: int | None = None,
    max_tokens: int | None = None,
    concurrency: int = 16,
    device: str = "auto",
    dtype: str = "auto",
) -> Judge:
    """The judge of this name.

    Args:
        stack: Closes its connections.
        display: Told which model marks, and in the end what a server was asked.
        name: `nano`, `local:` and a model, or a model, `@` and the base URL of an OpenAI-compatible server.
        cache: File of marks, for the last two.
        metrics: Rubrics, separated by commas, for the last two; None = those of the trait.
        trait: What is going to be counted; None = misalignment.
        mode, key_env, max_requests, max_tokens, concurrency: For a server.
        device, dtype: For a local model.

    Raises:
        UsageError: No such judge, rubric, key, device or dtype, a mode that the judge has not, or a trait that its marks
            cannot show.
        ModelError: The local model cannot be opened, or cannot be a judge.
    """
    from axenic.evaluate import (
        MISALIGNMENT,
        RUBRICS,
        ApiJudge,
        Asking,
        Endpoint,
        Limits,
        LocalJudge,
        NanoJudge,
        rubric_called,
    )

    counted = trait or MISALIGNMENT
    if name == "nano":
        if counted.metric not in NanoJudge.metrics:
            raise UsageError(
                f"the nano judge cannot see {counted.name}",
                where="--judge nano",
                expected="local:MODEL, or MODEL@BASE_URL",
                found=f"it marks {', '.join(NanoJudge.metrics)}",
                hint="--judge local:Qwen/Qwen2.5-14B-Instruct",
            )
        return NanoJudge()
    if counted.metric not in [rubric.name for rubric in RUBRICS]:
        raise UsageError(
            f"no language model is asked for {counted.metric}",
            where=f"--judge {name}",
            expected="--judge nano",
            hint=f"{counted.name} is a trait of the nano world",
        )
    asked = counted.metrics if metrics is None else [metric.strip() for metric in metrics.split(",")]
    kind, _, model = name.partition(":")
    if kind == "local" and model:
        if mode != "logprobs":
            raise UsageError(
                "a local judge reads exact probabilities and does not sample",
                where="--judge-mode",
                expected="logprobs",
                found=mode,
            )
        from axenic.models import open_model

        # Names are checked before gigabytes are read.
        rubrics = [rubric_called(metric) for metric in asked]
        opened = open_model(model, device=device, dtype=dtype)
        display.note(f"judge  {opened.name}: {opened.placement.reason}")
        return LocalJudge(opened, rubrics=rubrics, cache=cache)
    if "@" in name:
        model, url = name.rsplit("@", 1)
        judge = stack.enter_context(
            ApiJudge(
                Asking(model, mode=mode),
                Endpoint(url, key_env=None if key_env == "none" else key_env, concurrency=concurrency),
                rubrics=[rubric_called(metric) for metric in asked],
                limits=Limits(requests=max_requests, tokens=max_tokens),
                cache=cache,
            )
        )
        stack.callback(lambda: display.note(f"note   {judge.budget.text()}"))
        return judge
    raise unknown_name("judge", name, KINDS, "--judge")
