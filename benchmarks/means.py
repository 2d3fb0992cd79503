"""What the means of all layers cost over a plain forward pass, in time and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from axenic.interpret import Conversation, answer_means
from axenic.models import OpenModel
from benchmarks.shapes import Sizes
from benchmarks.timing import Comparison, compare

_BATCH_TOKENS = 8192


def conversations(model: OpenModel, sizes: Sizes) -> list[Conversation]:
    """Random prompts and answers of one length: no padding, so that both ways do the same arithmetic."""
    generator = torch.Generator().manual_seed(0)
    prompt = sizes.mean_tokens // 4
    ids = torch.randint(10, 500, (sizes.mean_rows, sizes.mean_tokens), generator=generator).tolist()
    return [Conversation(prompt=tuple(row[:prompt]), answer=tuple(row[prompt:])) for row in ids]


def plain_forward(model: OpenModel, texts: list[Conversation], rows: int) -> None:
    """The same tokens through the model, nothing read."""
    ids = torch.tensor([text.tokens for text in texts], device=model.device)
    with torch.inference_mode():
        for batch in ids.split(rows):
            model.model(input_ids=batch, use_cache=False, logits_to_keep=1)


def run(model: OpenModel, sizes: Sizes) -> tuple[Comparison, float]:
    """Time ratio means / plain forward, and extra memory as a share of one batch's block outputs."""
    texts = conversations(model, sizes)
    rows = max(1, _BATCH_TOKENS // sizes.mean_tokens)
    found = compare(
        lambda: answer_means(model, texts, batch_tokens=_BATCH_TOKENS),
        lambda: plain_forward(model, texts, rows),
        sizes.repeats + 4,
    )
    return found, _extra_memory(model, texts[:rows])


def _extra_memory(model: OpenModel, texts: list[Conversation]) -> float:
    """Largest sum of tensors alive that a plain forward does not have / bytes of all block outputs of the batch.

    Counted from what the hooks keep: on a CPU torch has no allocator statistics, so the resident tensors are counted at
    the block where they are most.
    """
    tokens = sum(len(text.tokens) for text in texts)
    block_outputs = tokens * model.sites.d_model * model.sites.n_layers * 4
    with _largest_growth() as growth:
        answer_means(model, texts, batch_tokens=_BATCH_TOKENS)
    with _largest_growth() as plain:
        plain_forward(model, texts, len(texts))
    return (growth[0] - plain[0]) / block_outputs


@contextmanager
def _largest_growth() -> Iterator[list[int]]:
    """Peak of the bytes that torch operations allocated and have not freed, by its own profiler."""
    peak = [0]
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profiler:
        yield peak
    alive = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            alive += event.nbytes()
            peak[0] = max(peak[0], alive)
