"""Mean activations over answer tokens at every layer, streamed out of one forward pass (papers.md M2.2)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from axenic.errors import DataError, UsageError
from axenic.interpret.batches import batches
from axenic.interpret.conversation import Conversation, Span
from axenic.interpret.sums import SumHooks
from axenic.intervene import PLAIN, Arm, InterventionHooks
from axenic.models import OpenModel, Site
from axenic.progress import Progress, silent

Weighting = Literal["token", "answer"]
"""`token`: every answer token counts alike, as published. `answer`: mean of the answers' own means."""

BATCH_TOKENS = 8192
"""Tokens of a batch, padding counted: enough to keep a GPU busy, and far from filling its memory."""


@dataclass(frozen=True)
class Means:
    """Sums over answer tokens at every layer, for G groups of conversations; L layers, D = d_model.

    Sums and not means, so that groups can be pooled without loss.

    Args:
        sum_GLD: float64. Sum of activations: over tokens (`token`), or of per-answer means (`answer`).
        count_G: float64. What to divide by: tokens (`token`) or answers (`answer`).
        norm_sum_GL: float64. The same sum of the activations' L2 norms.
        tokens_G: int64. Answer tokens seen.
        answers_G: int64. Conversations seen.
        layers: The layer of each row of L; layer l is the output of block l, -1 the embedding output.
        site: Where it was read.
        weighting: Token- or answer-weighted.
        span: Which tokens counted.
    """

    sum_GLD: Tensor
    count_G: Tensor
    norm_sum_GL: Tensor
    tokens_G: Tensor
    answers_G: Tensor
    layers: tuple[int, ...]
    site: Site
    weighting: Weighting
    span: Span

    def mean_LD(self, *groups: int) -> Tensor:
        """float64 `[L, D]`: mean of the named groups pooled, or of all groups. Raises `DataError`."""
        chosen = self._chosen(groups)
        return self.sum_GLD[chosen].sum(0) / self.count_G[chosen].sum()

    def norm_L(self, *groups: int) -> Tensor:
        """float64 `[L]`: mean L2 norm of the activations of the named groups pooled. Raises `DataError`."""
        chosen = self._chosen(groups)
        return self.norm_sum_GL[chosen].sum(0) / self.count_G[chosen].sum()

    def _chosen(self, groups: tuple[int, ...]) -> list[int]:
        chosen = list(groups) or list(range(len(self.count_G)))
        if self.count_G[chosen].sum() == 0:
            raise DataError("there is no mean of a group without conversations", found=f"group {chosen}")
        return chosen


@torch.no_grad()
def answer_means(
    opened: OpenModel,
    conversations: Sequence[Conversation],
    *,
    weighting: Weighting = "token",
    span: Span = "answer",
    site: Site = "resid_post",
    groups: Sequence[int] | None = None,
    arm: Arm = PLAIN,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress = silent,
) -> Means:
    """Mean activation over answer tokens at every layer, several groups in one forward pass.

    Activations are read by hooks on the site's own modules, after the arm's interventions at the same place,
    and reduced to one vector per row inside the hook; no activation is kept. Sums over the tokens of one
    answer are taken in float32 at least (float64 in a float64 model), sums over answers in float64.

    The result does not depend on the order or the batching of the conversations, but for the rounding of the
    model's own forward pass.

    Args:
        opened: The model; as a rule the misaligned organism itself.
        conversations: Finished prompts and answers. At least one.
        weighting: `token` as published, or `answer`.
        span: Which tokens; see `Span`.
        site: `resid_post`, `attn_out`, `mlp_out` (all layers of them) or `embed` (the one layer -1).
        groups: Group of each conversation, 0-based; None puts all into group 0.
        arm: Interventions to read under (papers.md M2.7); none by default.
        batch_tokens: Upper bound of a batch's tokens, padding counted.
        progress: Told after every batch.

    Returns:
        The sums on the CPU.

    Raises:
        UsageError: No conversation, or `groups` of another length, or a negative group.
    """
    group_of = [0] * len(conversations) if groups is None else list(groups)
    if not conversations:
        raise UsageError("there is no conversation to take means over")
    if len(group_of) != len(conversations) or min(group_of) < 0:
        raise UsageError(
            "groups must name a group for every conversation",
            expected=f"{len(conversations)} numbers >= 0",
            found=f"{len(group_of)} numbers, smallest {min(group_of, default=0)}",
        )
    layers = (-1,) if site == "embed" else tuple(range(opened.sites.n_layers))
    sums = SumHooks(
        [opened.sites.module(site, layer) for layer in layers],
        d_model=opened.sites.d_model,
        groups=max(group_of) + 1,
        per_answer=weighting == "answer",
    )
    done = 0
    opened.model.eval()
    with contextlib.ExitStack() as stack:
        # Interventions first: of two hooks on one module the later one sees what the earlier one returned.
        hooks = stack.enter_context(InterventionHooks(opened.sites, [arm])) if arm.interventions else None
        stack.enter_context(sums)
        for batch in batches(conversations, batch_tokens=batch_tokens, span=span, device=opened.device):
            if hooks is not None:
                hooks.assign(torch.zeros(len(batch.rows), dtype=torch.long, device=opened.device))
                hooks.phase = batch.answer_BT
            sums.begin(batch.span_BT, [group_of[row] for row in batch.rows])
            # The decoder alone: without the head, no logit is ever computed.
            opened.sites.decoder(input_ids=batch.ids_BT, use_cache=False)
            done += len(batch.rows)
            progress("means", done, len(conversations), "answer")
    return Means(
        sum_GLD=sums.sum_LGD.transpose(0, 1).contiguous().cpu(),
        count_G=(sums.answers_G if weighting == "answer" else sums.tokens_G).double().cpu(),
        norm_sum_GL=sums.norm_LG.T.contiguous().cpu(),
        tokens_G=sums.tokens_G.cpu(),
        answers_G=sums.answers_G.cpu(),
        layers=layers,
        site=site,
        weighting=weighting,
        span=span,
    )
