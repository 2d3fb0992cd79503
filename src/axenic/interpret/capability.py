"""What an intervention costs: how far it moves the model's next-token distribution on harmless answers.

KL(un-intervened || intervened), teacher-forced on aligned answers of the plain arm. The papers give coherence
only; the KL also sees damage that a judge does not.
B rows, A arms, T tokens, K kept positions, V vocabulary.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from axenic.files import Table, content_id
from axenic.interpret.batches import Batch, batches
from axenic.interpret.conversation import Conversation, conversations_of
from axenic.intervene import Arm, InterventionHooks
from axenic.models import OpenModel
from axenic.progress import Progress, silent
from axenic.sample import Answer

MOST_ANSWERS = 64
"""Answers that the cost is measured on: the standard error is then a few percent of the value."""

LOGIT_CELLS = 2**27
"""Most logits of one forward pass (512 MiB in float32): a vocabulary of 150,000 would fill any memory."""

BATCH_TOKENS = 8192


@dataclass(frozen=True)
class Cost:
    """KL of one arm in nats per answer token.

    Attributes:
        kl_nats_per_token: Mean over all answer tokens.
        stderr: Standard error over answers (ratio estimate); None with a single answer.
        n_answers, n_tokens: What it was measured on.
    """

    kl_nats_per_token: float
    stderr: float | None
    n_answers: int
    n_tokens: int


def pick_answers(answers: Sequence[Answer], *, most: int = MOST_ANSWERS, seed: int = 0) -> list[Answer]:
    """At most `most` of the answers, drawn by `seed`; the order of `answers` does not matter."""
    ordered = sorted(answers, key=lambda answer: answer.id)
    random.Random(seed).shuffle(ordered)
    return ordered[:most]


def arm_costs(
    opened: OpenModel,
    answers: Sequence[Answer],
    arms: Sequence[Arm],
    *,
    out: Path | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress = silent,
) -> list[Cost]:
    """KL(un-intervened || intervened) of every arm on finished answers.

    For each batch of answers one plain forward pass, and as few hooked ones as memory allows, with the arms
    stacked as rows. Log-probabilities in float32 at least, sums in float64.

    Args:
        opened: The model.
        answers: Aligned answers of the plain arm. At least one.
        arms: The arms, each with at least one intervention.
        out: A table of (answer, arm) sums; what it holds is not computed again.
        batch_tokens: Upper bound of tokens of a plain forward pass, padding counted.
        progress: Told after every batch.

    Returns:
        One cost per arm, in order.

    Raises:
        DataError: An answer without tokens, or a damaged line of `out`.
    """
    table = None if out is None else Table(out)
    known = [] if table is None else table.rows()
    sums: dict[str, float] = {row["id"]: float(row["kl_nats"]) for row in known}
    ids = [[content_id([answer.id, arm.id]) for arm in arms] for answer in answers]
    conversations = conversations_of(opened, answers)
    vocabulary = len(opened.tokenizer)
    # A quarter: the plain batch and at least one hooked one, with their log-probabilities, lie side by side.
    tokens = max(1, min(batch_tokens, LOGIT_CELLS // (4 * vocabulary)))
    done = 0
    for batch in batches(conversations, batch_tokens=tokens, device=opened.device):
        if any(key not in sums for row in batch.rows for key in ids[row]):
            kl_BA = _batch_kl(opened, batch, [conversations[row] for row in batch.rows], arms, vocabulary)
            fresh: list[dict[str, Any]] = [
                {"id": ids[row][a], "answer_id": answers[row].id, "arm_id": arm.id, "kl_nats": kl_BA[b][a]}
                for b, row in enumerate(batch.rows)
                for a, arm in enumerate(arms)
                if ids[row][a] not in sums
            ]
            sums.update((line["id"], line["kl_nats"]) for line in fresh)
            if table is not None:
                table.append(fresh)
        done += len(batch.rows)
        progress("cost", done, len(answers), "answer")
    lengths = [len(answer.tokens) for answer in answers]
    return [_cost([sums[row[a]] for row in ids], lengths) for a in range(len(arms))]


def _batch_kl(
    opened: OpenModel, batch: Batch, rows: Sequence[Conversation], arms: Sequence[Arm], vocabulary: int
) -> list[list[float]]:
    """`[B, A]`: KL summed over each row's answer tokens, in nats."""
    plain_BKV = _logits(opened, batch, rows)
    kl: list[list[float]] = [[] for _ in rows]
    for group in _groups(arms, max(1, LOGIT_CELLS // (plain_BKV.shape[0] * plain_BKV.shape[1] * vocabulary))):
        with InterventionHooks(opened.sites, group) as hooks:
            stacked = _stack(batch, len(group))
            hooks.assign(torch.arange(len(group)).repeat_interleave(len(rows)))
            hooks.phase = stacked.answer_BT
            moved_BKV = _logits(opened, stacked, list(rows) * len(group))
        for a in range(len(group)):
            for b, row in enumerate(rows):
                kept = _kept(rows, row, plain_BKV.shape[1])
                kl[b].append(_kl(plain_BKV[b, kept], moved_BKV[a * len(rows) + b, kept]))
    return kl


@torch.no_grad()
def _logits(opened: OpenModel, batch: Batch, rows: Sequence[Conversation]) -> Tensor:
    """Logits `[B, K, V]` of the last K positions: from the one that predicts the earliest answer token on."""
    first = min(len(row.prompt) for row in rows) - 1
    opened.model.eval()
    logits: Tensor = opened.model(
        input_ids=batch.ids_BT,
        use_cache=False,
        logits_to_keep=batch.ids_BT.shape[1] - first,
    ).logits
    return logits


def _kept(rows: Sequence[Conversation], row: Conversation, kept: int) -> slice:
    """Which of the K kept positions predict this row's answer tokens: each the one after it."""
    start = len(row.prompt) - min(len(other.prompt) for other in rows)
    return slice(start, min(kept, start + len(row.answer)))


def _kl(plain_TV: Tensor, moved_TV: Tensor) -> float:
    """KL(plain || moved) in nats, summed over positions."""
    wide = torch.float64 if plain_TV.dtype == torch.float64 else torch.float32
    p_TV = torch.log_softmax(plain_TV, -1, dtype=wide)
    q_TV = torch.log_softmax(moved_TV, -1, dtype=wide)
    kl_T = (p_TV.exp() * (p_TV - q_TV)).sum(-1)
    # Rounding may leave -1e-9 where the two are equal; a KL is never negative.
    return float(kl_T.clamp_min(0).cpu().double().sum())


def _stack(batch: Batch, times: int) -> Batch:
    """The same rows `times` times, one block after the other."""
    return Batch(
        rows=batch.rows * times,
        ids_BT=batch.ids_BT.repeat(times, 1),
        span_BT=batch.span_BT.repeat(times, 1),
        answer_BT=batch.answer_BT.repeat(times, 1),
    )


def _groups(arms: Sequence[Arm], size: int) -> Iterator[Sequence[Arm]]:
    for start in range(0, len(arms), size):
        yield arms[start : start + size]


def _cost(kl_sums: Sequence[float], lengths: Sequence[int]) -> Cost:
    """Ratio of sums, and its linearised standard error over answers."""
    n, tokens = len(lengths), sum(lengths)
    mean = math.fsum(kl_sums) / tokens
    stderr = None
    if n > 1:
        squares = math.fsum((kl - mean * length) ** 2 for kl, length in zip(kl_sums, lengths, strict=True))
        stderr = math.sqrt(n / (n - 1) * squares) / tokens
    return Cost(mean, stderr, n, tokens)
