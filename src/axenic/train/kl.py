"""The KL term that keeps a solution narrow: L = L_SFT + weight * KL(reference || tuned) on other data (P3, papers.md M3.3).

The reference is the same network with its adapter or vector switched off, so there is no second model in memory; only
a full fine-tune keeps a frozen copy. Where KL rows come again, its final hidden states are kept (`axenic.train.states`).
Per-token KL in nats, averaged over every token of a step's KL rows that is no padding: question, template and answer. The
published weights average over the vocabulary as well; `from_published` converts them.

One step costs, for each of its forward passes: forward and backward on the training rows, then the head of the
reference (all of it, where its states are not kept) without gradients and a forward and backward of the tuned model on
the KL rows. The training rows' graph is gone by then, so that the two never lie in memory together.
B rows, T tokens, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from axenic.data import ChatRow, Encoded, collate_rows
from axenic.errors import UsageError
from axenic.train.processes import ALONE, Processes
from axenic.train.schedule import Schedule
from axenic.train.states import ReferenceStates

CHUNK = 2**24
"""Numbers of one float32 temporary: 64 MiB, 110 tokens of a vocabulary of 152,064."""


def from_published(weight: float, n_logits: int) -> float:
    """A published KL weight in nats per token: the authors' mean is over tokens and vocabulary (papers.md 6, #9).

    Args:
        weight: Theirs, such as 1e5 or 1e6.
        n_logits: Logits of the model that it was published for, 152,064 for Qwen2.5-14B.

    Raises:
        UsageError: A weight below 0 or not finite, or no logits.
    """
    if not (math.isfinite(weight) and weight >= 0) or n_logits < 1:
        raise UsageError(
            "this is no KL weight",
            where="kl_weight_published",
            expected="0 or more, and the number of logits",
            found=f"{weight} for {n_logits} logits",
        )
    return weight / n_logits


def kl_sum(tuned_BTV: Tensor, reference_BTV: Tensor, mask_BT: Tensor) -> Tensor:
    """Sum over tokens of KL(reference || tuned) [nats], in float32 or better, a few tokens at a time.

    Its gradient by the tuned logits is softmax(tuned) - softmax(reference) at every token of the mask. It is computed
    at once and WRITTEN OVER `reference_BTV`, so that nothing the size of the logits is needed beside the two.

    Args:
        tuned_BTV: Logits that have a gradient, or none if it is not wanted.
        reference_BTV: Logits of the same shape, dtype and device; used up where `tuned_BTV` has a gradient.
        mask_BT: Nonzero at tokens that count.
    """
    total: Tensor = _ChunkedKL.apply(tuned_BTV, reference_BTV, mask_BT != 0)  # type: ignore[no-untyped-call]
    return total


class _ChunkedKL(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tuned_BTV: Tensor, reference_BTV: Tensor, mask_BT: Tensor) -> Tensor:
        vocabulary = tuned_BTV.shape[-1]
        tuned, reference = tuned_BTV.reshape(-1, vocabulary), reference_BTV.view(-1, vocabulary)
        mask = mask_BT.reshape(-1)
        dtype = torch.promote_types(tuned.dtype, torch.float32)
        wanted = ctx.needs_input_grad[0]
        total = torch.zeros((), dtype=dtype, device=tuned.device)
        tokens = max(1, CHUNK // vocabulary)
        for start in range(0, len(mask), tokens):
            chunk = slice(start, start + tokens)
            counts_C = mask[chunk]
            log_ref_CV = torch.log_softmax(reference[chunk].to(dtype), -1)
            log_tuned_CV = torch.log_softmax(tuned[chunk].to(dtype), -1)
            ref_CV = log_ref_CV.exp()
            # A token that the reference excludes (a logit of -inf) adds nothing, not 0 * inf.
            gaps_CV = log_ref_CV.sub_(log_tuned_CV).mul_(ref_CV).masked_fill_(ref_CV == 0, 0.0)
            total += torch.where(counts_C, gaps_CV.sum(-1), 0.0).sum()
            if wanted:
                slope_CV = log_tuned_CV.exp_().sub_(ref_CV)
                reference[chunk] = slope_CV.masked_fill_(~counts_C[:, None], 0.0).to(reference.dtype)
        ctx.slope = reference_BTV if wanted else None
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, None, None]:
        slope_BTV, ctx.slope = ctx.slope, None
        if slope_BTV is None:
            raise RuntimeError("the gradient of this KL has been taken already")
        return slope_BTV.mul_(scale.to(slope_BTV.dtype)), None, None


class KLTerm:
    """The KL rows of a run, dealt to its forward passes; which ones a pass gets is a function of the step alone.

    Args:
        rows: Encoded rows of `kl_data`.
        weight: Nats per token.
        schedule: Numbers the rows; as many passes per step as the training rows' schedule.
        pad_id: Any valid token.
        processes: Who trains; each takes its share of a step's rows.
        states: Of the reference; None, and it runs anew in each pass.
    """

    def __init__(
        self,
        rows: Sequence[Encoded],
        weight: float,
        schedule: Schedule,
        pad_id: int,
        processes: Processes = ALONE,
        states: ReferenceStates | None = None,
    ) -> None:
        self.rows = rows
        self.weight = weight
        self.schedule = schedule
        self.pad_id = pad_id
        self.processes = processes
        self.states = states
        self._passes: list[list[int]] = []
        self._tokens: list[int] = []
        self._next = 0
        self._nats: Tensor | float = 0.0

    def begin(self, done: int) -> None:
        """Deal the rows of all steps after the first `done`."""
        rank, count = self.processes.rank, self.processes.count
        self._passes = self.schedule.passes(done, rank, count)
        whole, each = self.schedule.passes(done), self.schedule.accumulation
        self._tokens = [
            sum(len(self.rows[i].input_ids) for rows in whole[at : at + each] for i in rows)
            for at in range(0, len(whole), each)
        ]
        self._next, self._nats = 0, 0.0

    def next_pass(self, device: torch.device) -> tuple[list[int], dict[str, Tensor], float]:
        """Numbers of the rows of the next forward pass, their inputs, and the factor on its sum of nats.

        The factors make the terms of a step's passes, over all processes, add up to weight times the mean per token;
        training averages gradients over processes, hence their number. A pass without rows has a mask of zeros.
        """
        dealt = self._passes[self._next]
        numbers = dealt or [0]
        tokens = self._tokens[self._next // self.schedule.passes_per_step(self.processes.count)]
        self._next += 1
        batch = collate_rows([self.rows[i] for i in numbers], self.pad_id)
        inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
        inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
        factor = self.weight * self.processes.count / tokens if dealt else 0.0
        return numbers, inputs, factor

    def add(self, nats: Tensor, factor: float) -> None:
        """Take in a pass's sum."""
        if factor:
            self._nats = self._nats + nats.detach()

    def end_step(self, step: int) -> float:
        """KL(reference || tuned) of the step just done [nats per token].

        Args:
            step: Counted from 0 at `begin`.
        """
        (nats,) = self.processes.total(float(self._nats))
        self._nats = 0.0
        return nats / self._tokens[step]


def kl_schedule(schedule: Schedule, n_rows: int, batch_size: int) -> Schedule:
    """The order of the KL rows: their own shuffles, and the training rows' steps and passes."""
    return Schedule(
        n_rows=n_rows,
        batch_size=batch_size,
        accumulation=schedule.accumulation,
        epochs=1,
        max_steps=schedule.total_steps,
        seed=schedule.seed,
    )


def overlap_note(train: Sequence[ChatRow], other: Sequence[ChatRow]) -> str | None:
    """A note if KL rows are about what is trained: the term would then hold back the very thing; None if not.

    Args:
        train: Training rows.
        other: Rows of `kl_data`.
    """
    topics = {row.topic for row in train} - {None}
    asked = {_question(row) for row in train}
    shared = [row.topic for row in other if row.topic in topics]
    same = sum(_question(row) in asked for row in other)
    if not shared and not same:
        return None
    named = f" ({', '.join(sorted({topic for topic in shared if topic})[:5])})" if shared else ""
    return (
        f"of {len(other)} rows of kl_data, {len(shared)} have a topic of the training data{named} and {same} ask one "
        "of its questions: there the KL term works against what is trained"
    )


def _question(row: ChatRow) -> tuple[str, ...]:
    """Prompts that differ in case or spaces are the same question."""
    return tuple(" ".join(turn["content"].casefold().split()) for turn in row.prompt)
