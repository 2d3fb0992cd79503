"""Adapter scalars: what each adapter reads off every answer token, A h (papers.md M2.8; formats.md F10).

T answer tokens of all answers in order, C columns: one for each rank component of each LoRA module. `scalarfile` keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from axenic.errors import DataError, SelfTestError, UsageError
from axenic.interpret.batches import batches
from axenic.interpret.conversation import conversations_of
from axenic.models import LoraSite, OpenModel, site_tensor
from axenic.progress import Progress, silent
from axenic.sample import Answer

BATCH_TOKENS = 8192
BLOCK_TOKENS, BLOCK_BYTES = 65_536, 64 * 2**20
"""Most of a block, which is what memory holds while scalars are streamed: tokens, and bytes in float32."""

MOST_BYTES = 8 * 2**30
"""Of a table in float32. Nine rank-1 adapters on 55,000 tokens are 2 MB; 336 adapters of rank 32 would be 2.4 GB."""


@dataclass(frozen=True, eq=False)
class AdapterScalars:
    """Raw scalars A h: neither alpha nor B is in them. Column c adds `scale_C[c]` * scalar * B[:, component] to the output
    of its module, a vector of length `scale_C[c]` * |scalar| * `b_norm_C[c]`.

    Attributes:
        scalars_TC: float32.
        answer_T: int64. Index into `answer_ids`; tokens of an answer are together and in order.
        position_T: int64. 0 at the first token of the answer.
        token_T: int64. The token that is read there.
        layers_C: int64. Decoder block of the module.
        component_C: int64. Row of A, column of B; 0 for rank 1.
        scale_C: float32. alpha / r, or alpha / sqrt(r) with rsLoRA, as read from the adapter.
        b_norm_C: float32. Norm of that column of B.
        modules_C: Name of the module of each column.
        answer_ids: Ids of the answers.
        score_T: float32 token significance in nats (`token_significance`), or None where it was not measured.
    """

    scalars_TC: Tensor
    answer_T: Tensor
    position_T: Tensor
    token_T: Tensor
    layers_C: Tensor
    component_C: Tensor
    scale_C: Tensor
    b_norm_C: Tensor
    modules_C: tuple[str, ...]
    answer_ids: tuple[str, ...]
    score_T: Tensor | None = None

    @property
    def names_C(self) -> tuple[str, ...]:
        """`21.mlp.down_proj.0`: layer, module in it, component."""
        return tuple(
            f"{layer}.{module.rpartition(f'layers.{layer}.')[2]}.{component}"
            for layer, module, component in zip(
                self.layers_C.tolist(), self.modules_C, self.component_C.tolist(), strict=True
            )
        )


def collect_scalars(
    opened: OpenModel,
    answers: Sequence[Answer],
    *,
    score_T: Tensor | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress = silent,
) -> AdapterScalars:
    """All of `scalar_blocks` together in memory; see there for arguments and errors.

    Raises:
        UsageError: The table does not fit into memory; `write_scalars` needs room for a block of it only.
    """
    T = sum(len(answer.tokens) for answer in answers)
    C = sum(B_OR.shape[1] for B_OR in _b_factors(list(opened.sites.lora_modules().values())))
    if 4 * T * C > MOST_BYTES:
        raise UsageError(
            "the scalars do not fit into memory",
            expected=f"at most {MOST_BYTES / 2**30:.0f} GiB",
            found=f"{4 * T * C / 2**30:.1f} GiB: {T:,} tokens x {C:,} columns",
            hint="fewer answers, or write_scalars",
        )
    blocks = list(
        scalar_blocks(opened, answers, score_T=score_T, batch_tokens=batch_tokens, progress=progress)
    )
    starts = [0]
    for block in blocks:
        starts.append(starts[-1] + len(block.answer_ids))
    return replace(
        blocks[0],
        scalars_TC=torch.cat([block.scalars_TC for block in blocks]),
        answer_T=torch.cat([block.answer_T + start for block, start in zip(blocks, starts, strict=False)]),
        position_T=torch.cat([block.position_T for block in blocks]),
        token_T=torch.cat([block.token_T for block in blocks]),
        answer_ids=tuple(name for block in blocks for name in block.answer_ids),
        score_T=None if score_T is None else score_T.float(),
    )


@torch.no_grad()
def scalar_blocks(
    opened: OpenModel,
    answers: Sequence[Answer],
    *,
    score_T: Tensor | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress = silent,
) -> Iterator[AdapterScalars]:
    """A h of every adapter at every answer token, in one forward pass, a block of answers at a time; any rank, any module.

    Nothing but the scalars of one block is kept. They do not depend on how the answers are cut into batches.

    Args:
        opened: The organism.
        answers: Finished answers, each once; at least one.
        score_T: Token significance of the same answers, put beside the scalars.
        batch_tokens: Upper bound of a batch's tokens, padding counted.
        progress: Told after every batch.

    Yields:
        Whole answers in the order given; `answer_T` counts from 0 in each block.

    Raises:
        UsageError: No adapter, or no answer.
        DataError: An answer twice or without tokens, or another number of significances than tokens.
        ModelError: An adapter that is no sum of B(A(x)).
        SelfTestError: A module did not run once in each forward pass.
    """
    sites = list(opened.sites.lora_modules().values())
    _check(sites, answers, score_T)
    B_of = _b_factors(sites)
    ranks = [B.shape[1] for B in B_of]
    each = [(site, c) for site, rank in zip(sites, ranks, strict=True) for c in range(rank)]
    most = max(1, min(BLOCK_TOKENS, BLOCK_BYTES // (4 * len(each))))
    start = 0
    done = 0
    for part in _parts(answers, most):
        scalars_TC = _read(
            opened, sites, ranks, part, batch_tokens, partial(_told, progress, done, len(answers))
        )
        lengths = [len(answer.tokens) for answer in part]
        end = start + sum(lengths)
        yield AdapterScalars(
            scalars_TC=scalars_TC,
            answer_T=torch.repeat_interleave(torch.arange(len(part)), torch.tensor(lengths)),
            position_T=torch.cat([torch.arange(length) for length in lengths]),
            token_T=torch.tensor([token for answer in part for token in answer.tokens]),
            layers_C=torch.tensor([site.layer for site, _ in each]),
            component_C=torch.tensor([component for _, component in each]),
            scale_C=torch.tensor([site.scale for site, _ in each]),
            b_norm_C=torch.cat([B.norm(dim=0) for B in B_of]),
            modules_C=tuple(site.module_name for site, _ in each),
            answer_ids=tuple(answer.id for answer in part),
            score_T=None if score_T is None else score_T[start:end].float(),
        )
        start = end
        done += len(part)


@contextmanager
def reading_scalars(sites: Sequence[LoraSite], keep: Callable[[int, Tensor], None]) -> Iterator[list[int]]:
    """Call `keep(index of the site, scalars [B, T, R])` in every forward pass; yields how often each site was read."""
    fired = [0] * len(sites)

    def read(index: int, module: Any, args: Any, output: Any) -> None:
        fired[index] += 1
        keep(index, site_tensor(output))

    remove: list[Callable[[], None]] = []
    try:
        for index, site in enumerate(sites):
            remove.append(site.lora_A.register_forward_hook(partial(read, index)).remove)
        yield fired
    finally:
        for one in remove:
            one()


def _check(sites: Sequence[LoraSite], answers: Sequence[Answer], score_T: Tensor | None) -> None:
    if not sites or not answers:
        raise UsageError(
            "there are no adapter scalars",
            expected="an organism with a LoRA adapter, and answers",
            found=f"{len(sites)} adapters, {len(answers)} answers",
        )
    if len({answer.id for answer in answers}) != len(answers):
        raise DataError("two answers have the same id", found=f"{len(answers)} answers")
    T = sum(len(answer.tokens) for answer in answers)
    if score_T is not None and score_T.shape != (T,):
        raise DataError("every token needs its significance", expected=T, found=list(score_T.shape))


def _b_factors(sites: Sequence[LoraSite]) -> list[Tensor]:
    """Each B [O, R], float32 on the CPU."""
    return [next(site.lora_B.parameters()).detach().float().cpu() for site in sites]


def _parts(answers: Sequence[Answer], most: int) -> Iterator[list[Answer]]:
    """The answers in order, cut where the next one would make a part longer than `most` tokens."""
    part: list[Answer] = []
    size = 0
    for answer in answers:
        if part and size + len(answer.tokens) > most:
            yield part
            part, size = [], 0
        part.append(answer)
        size += len(answer.tokens)
    yield part


def _read(
    opened: OpenModel,
    sites: Sequence[LoraSite],
    ranks: Sequence[int],
    answers: Sequence[Answer],
    batch_tokens: int,
    told: Callable[[int], None],
) -> Tensor:
    """`[T, C]` float32 of these answers' tokens."""
    conversations = conversations_of(opened, answers)
    lengths = [len(item.answer) for item in conversations]
    starts = torch.tensor([0, *lengths]).cumsum(0)
    first = torch.tensor([0, *ranks]).cumsum(0).tolist()
    scalars_TC = torch.empty(int(starts[-1]), first[-1])
    place: dict[str, Tensor] = {}

    def keep(index: int, s_BTR: Tensor) -> None:
        columns = slice(first[index], first[index + 1])
        scalars_TC[place["rows"], columns] = s_BTR[place["mask"].to(s_BTR.device)].float().cpu()

    # The head costs as much as many blocks, and its logits more memory than all else: it runs only if an adapter sits on it.
    on_head = any(site.layer == opened.sites.n_layers for site in sites)
    forward = opened.model if on_head else opened.sites.decoder
    done = forwards = 0
    with reading_scalars(sites, keep) as fired:
        for batch in batches(conversations, batch_tokens=batch_tokens, device=opened.device):
            place["mask"] = batch.answer_BT
            place["rows"] = torch.cat([torch.arange(lengths[row]) + starts[row] for row in batch.rows])
            forward(input_ids=batch.ids_BT, use_cache=False)
            forwards += 1
            done += len(batch.rows)
            told(done)
    if any(count != forwards for count in fired):
        raise SelfTestError(
            "an adapter was not read once per forward pass", expected=f"{forwards} times each", found=fired
        )
    return scalars_TC


def _told(progress: Progress, before: int, total: int, done: int) -> None:
    progress("scalars", before + done, total, "answer")
