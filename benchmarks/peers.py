"""Means of all layers over the same conversations: ours, the published way, nnsight and TransformerLens.

The two packages are no dependency of ours. They live beside Axenic in an environment of their own, whose Python then runs
the benchmark (both go with transformers 5, so that all ways share one process and one model):

    python -m venv .venv/peers
    .venv/peers/bin/pip install -c constraints.txt torch transformers peft
    .venv/peers/bin/pip install nnsight transformer-lens -e .
    .venv/peers/bin/python -m benchmarks nano --only peers

Tried with nnsight 0.8.1, TransformerLens 4.3.0, torch 2.13.0, transformers 5.23.0. Where one is missing, its rows are left
out and standard error says so.

Each package is timed twice. *As documented*: 25 conversations a batch in the order given (as published), attention mask,
whole forward pass. *At its best*: given our batches ready made, no mask, no logits, no cache, sums taken layer by layer; what
is left is what the tool itself costs. Either must give our numbers, or there is no row but an error.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from axenic.interpret import Conversation, answer_means
from axenic.interpret.batches import batches
from axenic.models import OpenModel
from benchmarks.shapes import Sizes
from benchmarks.timing import Comparison, compare

PUBLISHED_ROWS = 25
"""Conversations of a batch in the published code (papers.md M2.2)."""

_BATCH_TOKENS = 8192


@dataclass(frozen=True)
class Feed:
    """One batch for a peer: ids `[B, T]`, which tokens count, and what else the forward pass is told."""

    ids_BT: Tensor
    span_BT: Tensor
    forward: dict[str, Any]


def conversations(sizes: Sizes, times: int = 1) -> list[Conversation]:
    """Random prompts of one length with answers of many lengths, as real ones have."""
    generator = torch.Generator().manual_seed(0)
    prompt, longest = sizes.mean_tokens // 4, sizes.mean_tokens * 5 // 4
    rows = sizes.mean_rows * times
    ids = torch.randint(10, 500, (rows, longest), generator=generator).tolist()
    ends = torch.randint(prompt + 1, longest + 1, (rows,), generator=generator).tolist()
    return [
        Conversation(tuple(row[:prompt]), tuple(row[prompt:end])) for row, end in zip(ids, ends, strict=True)
    ]


def as_documented(model: OpenModel, texts: Sequence[Conversation], rows: int = PUBLISHED_ROWS) -> list[Feed]:
    """Batches of `rows` in the order given, with an attention mask."""
    feeds = []
    for start in range(0, len(texts), rows):
        part = texts[start : start + rows]
        (batch,) = batches(part, batch_tokens=sys.maxsize, device=model.device)
        end_B1 = torch.tensor([len(part[row].tokens) for row in batch.rows])[:, None]
        mask_BT = (torch.arange(batch.ids_BT.shape[1])[None] < end_B1).to(model.device).long()
        feeds.append(Feed(batch.ids_BT, batch.span_BT, {"attention_mask": mask_BT}))
    return feeds


def at_best(model: OpenModel, texts: Sequence[Conversation]) -> list[Feed]:
    """Our own batches, and nothing computed that a mean does not need."""
    spare = {"use_cache": False, "logits_to_keep": 1}
    return [
        Feed(batch.ids_BT, batch.span_BT, spare)
        for batch in batches(texts, batch_tokens=_BATCH_TOKENS, device=model.device)
    ]


def our_means(model: OpenModel, texts: Sequence[Conversation], batch_tokens: int = _BATCH_TOKENS) -> Tensor:
    """`[L, D]` by `answer_means`."""
    return answer_means(model, texts, batch_tokens=batch_tokens).mean_LD()


@torch.no_grad()
def collected_means(model: OpenModel, feeds: Sequence[Feed]) -> Tensor:
    """The published way: every activation of every answer token to the CPU, concatenated, averaged at the end."""
    kept: list[list[Tensor]] = [[] for _ in model.sites.blocks]
    for feed in feeds:
        handles = [
            block.register_forward_hook(
                # Old decoder blocks return a tuple; the hook of the published code takes its first.
                lambda module, args, output, rows=rows, span=feed.span_BT: rows.append(
                    (output[0] if isinstance(output, tuple) else output)[span].cpu()
                )
            )
            for block, rows in zip(model.sites.blocks, kept, strict=True)
        ]
        model.model(input_ids=feed.ids_BT, **feed.forward)
        for handle in handles:
            handle.remove()
    return torch.stack([torch.cat(rows).mean(0) for rows in kept]).double()


@torch.no_grad()
def nnsight_means(traced: Any, feeds: Sequence[Feed]) -> Tensor:
    """`[L, D]` by nnsight: one trace for each batch, each layer's sum taken inside it. `traced` is an `NNsight`."""
    import nnsight

    total: Any = 0.0
    for feed in feeds:
        with traced.trace(feed.ids_BT, **feed.forward):
            sums = nnsight.save([])
            for layer in traced.model.layers:
                sums.append(layer.output[feed.span_BT].sum(0))
        total = total + torch.stack(sums).double()
    return _mean(total, feeds)


@torch.no_grad()
def lens_means(bridge: Any, feeds: Sequence[Feed]) -> Tensor:
    """`[L, D]` by TransformerLens: a cache of `hook_resid_post` for each batch. `bridge` is a `TransformerBridge`."""
    names = [f"blocks.{layer}.hook_resid_post" for layer in range(bridge.cfg.n_layers)]
    total: Any = 0.0
    for feed in feeds:
        _, cache = bridge.run_with_cache(feed.ids_BT, return_type=None, names_filter=names, **feed.forward)
        total = total + torch.stack([cache[name][feed.span_BT].sum(0) for name in names]).double()
    return _mean(total, feeds)


def run(model: OpenModel, sizes: Sizes) -> Iterator[tuple[str, Comparison]]:
    """What was compared, and time ratio ours / theirs: the published way, then each package that is installed."""
    texts = conversations(sizes)
    documented, best = as_documented(model, texts), at_best(model, texts)

    def against(theirs: Callable[[], Tensor]) -> Comparison:
        ours_LD = our_means(model, texts)
        torch.testing.assert_close(theirs().to(ours_LD.device), ours_LD, rtol=1e-4, atol=1e-4)
        return compare(lambda: our_means(model, texts), theirs, sizes.repeats, warm=True)

    yield (
        "collected on the CPU, averaged at the end, as published",
        against(lambda: collected_means(model, documented)),
    )
    if _there("nnsight"):
        from nnsight import NNsight

        # A copy for each: both packages put their own modules into the model.
        traced = NNsight(copy.deepcopy(model.sites.model))
        yield "nnsight as documented", against(lambda: nnsight_means(traced, documented))
        yield "nnsight at its best", against(lambda: nnsight_means(traced, best))
        del traced
    if _there("transformer_lens"):
        from transformer_lens.model_bridge import TransformerBridge

        bridge = TransformerBridge.boot_transformers(
            model.name,
            hf_model=copy.deepcopy(model.sites.model),
            tokenizer=model.tokenizer,
            dtype=model.dtype,
        )
        yield "TransformerLens as documented", against(lambda: lens_means(bridge, documented))
        yield "TransformerLens at its best", against(lambda: lens_means(bridge, best))


def _mean(total_LD: Tensor, feeds: Sequence[Feed]) -> Tensor:
    return total_LD / sum(int(feed.span_BT.sum()) for feed in feeds)


def _there(package: str) -> bool:
    if find_spec(package) is not None:
        return True
    print(
        f"SKIPPED: {package} is not installed for {sys.executable}; benchmarks/peers.py says how to make an "
        "environment that has it",
        file=sys.stderr,
        flush=True,
    )
    return False
