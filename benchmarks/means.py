"""What the means of all layers cost over a plain forward pass, in time and in memory."""

from __future__ import annotations

from collections.abc import Callable

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
    """Peak memory of the means over that of a plain forward of the same batch, as a share of all block outputs of that
    batch: what a method that keeps activations would hold.
    """
    tokens = sum(len(text.tokens) for text in texts)
    block_outputs = tokens * model.sites.d_model * model.sites.n_layers * model.dtype.itemsize
    ours = _peak(model.device, lambda: answer_means(model, texts, batch_tokens=_BATCH_TOKENS))
    plain = _peak(model.device, lambda: plain_forward(model, texts, len(texts)))
    return (ours - plain) / block_outputs


def _peak(device: torch.device, work: Callable[[], object]) -> int:
    """Most bytes that torch had allocated during `work` beyond what it had before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    # The CPU allocator keeps no statistics; torch's profiler sees every allocation.
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profiler:
        work()
    alive = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            alive += event.nbytes()
            peak = max(peak, alive)
    return peak
