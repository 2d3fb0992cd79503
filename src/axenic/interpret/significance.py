"""Which tokens matter for what a fine-tune changed: the token significance of papers.md M2.10.

B rows, T tokens, K kept positions, V vocabulary, D = d_model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from axenic.errors import UsageError
from axenic.interpret.batches import Batch, batches
from axenic.interpret.capability import LOGIT_CELLS
from axenic.interpret.conversation import Conversation, conversations_of
from axenic.interpret.unadapted import base_of
from axenic.models import OpenModel
from axenic.progress import Progress, silent
from axenic.sample import Answer

BATCH_TOKENS = 1024
"""Smaller than elsewhere: every activation of two forward passes is kept for the gradient."""


def token_significance(
    opened: OpenModel,
    answers: Sequence[Answer],
    *,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress = silent,
) -> tuple[Tensor, Tensor]:
    """Each answer token's share of KL(base || organism), in nats.

    The KL is summed over the positions that predict the answer; its gradient is taken with respect to the embedding of
    every token, which both models read; score_t = KL * ‖g_t‖ / sum of ‖g‖ over the answer. So the scores of an answer sum
    to its KL, as in the released ones. Nothing is predicted from an answer's last token: its score is 0.

    Args:
        opened: An organism with an adapter; a full fine-tune has embeddings of its own, which the base does not read.
        answers: Finished answers; at least one.
        batch_tokens: Upper bound of a batch's tokens, padding counted.
        progress: Told after every batch.

    Returns:
        Scores of the tokens of all answers in order, float64 `[tokens]`; KL of each answer, float64 `[answers]`.

    Raises:
        UsageError: No adapter, or no answer.
        DataError: An answer without tokens.
    """
    if not opened.has_adapter or not answers:
        raise UsageError(
            "token significance compares an adapter with its base model on answers",
            expected="an organism with a LoRA adapter, and answers",
            found=f"{opened.organism or opened.name}, {len(answers)} answers",
        )
    conversations = conversations_of(opened, answers)
    scores: list[Tensor] = [torch.empty(0)] * len(answers)
    kl_N = torch.zeros(len(answers), dtype=torch.float64)
    done = 0
    tokens = max(1, min(batch_tokens, LOGIT_CELLS // (8 * opened.sites.n_tokens)))
    for batch in batches(conversations, batch_tokens=tokens, device=opened.device):
        rows = [conversations[row] for row in batch.rows]
        kl_B, norm_BT = _gradient(opened, batch, rows)
        for b, row in enumerate(batch.rows):
            kl_N[row] = kl_B[b]
            own_T = norm_BT[b][batch.answer_BT[b].cpu()]
            total = own_T.sum()
            scores[row] = own_T * (kl_B[b] / total) if total > 0 else torch.zeros_like(own_T)
        done += len(rows)
        progress("significance", done, len(answers), "answer")
    return torch.cat(scores), kl_N


def _gradient(opened: OpenModel, batch: Batch, rows: Sequence[Conversation]) -> tuple[Tensor, Tensor]:
    """KL of each row `[B]`, and the norm of its gradient at every token `[B, T]`, both float64 on the CPU."""
    leaf: list[Tensor] = []

    def share(module: Any, args: Any, output: Tensor) -> Tensor:
        # Both models must read one and the same leaf, else each would have a gradient of its own.
        if not leaf:
            leaf.append(output.detach().requires_grad_(True))
        return leaf[0]

    first = min(len(row.prompt) for row in rows) - 1
    keep = batch.ids_BT.shape[1] - first
    handle = opened.sites.embed.register_forward_hook(share)
    try:
        with torch.enable_grad():
            organism_BKV = opened.model(input_ids=batch.ids_BT, use_cache=False, logits_to_keep=keep).logits
            with base_of(opened) as base:
                base_BKV = base.model(input_ids=batch.ids_BT, use_cache=False, logits_to_keep=keep).logits
            wide = torch.float64 if base_BKV.dtype == torch.float64 else torch.float32
            p_BKV = torch.log_softmax(base_BKV, -1, dtype=wide)
            q_BKV = torch.log_softmax(organism_BKV, -1, dtype=wide)
            kl_BK = (p_BKV.exp() * (p_BKV - q_BKV)).sum(-1)
            # Position t predicts token t + 1.
            predicts_BK = torch.zeros_like(batch.answer_BT)
            predicts_BK[:, :-1] = batch.answer_BT[:, 1:]
            kl_B = (kl_BK * predicts_BK[:, first:]).sum(1)
            (gradient_BTD,) = torch.autograd.grad(kl_B.sum(), leaf[0])
    finally:
        handle.remove()
    return kl_B.detach().double().cpu(), torch.linalg.vector_norm(
        gradient_BTD.to(wide), dim=-1
    ).double().cpu()
