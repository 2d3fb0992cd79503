"""The reference of the KL term without its blocks: the base model's final hidden states on the KL rows, computed once.

A row is in many steps and its reference never changes. What is kept is what the head reads: D numbers per token instead
of the V logits of the published way, 30 times fewer for Qwen2.5-14B. A step then runs the head alone.

Floating-point sums depend on what a row is padded with, and training shuffles the rows into other batches in each epoch.
So that a run is the same to the last bit whether it was stopped or not, states are computed in batches of their own,
which depend on the rows alone: neighbours in length. Another batch than the tuned model's also means another rounding: the
KL of a model that has not moved is not always 0 (nano: 3e-10 nats per token in float32, 8e-6 in bfloat16).
B rows, T tokens, D width, V vocabulary.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from axenic.data import Encoded, collate_rows
from axenic.models import Head, check_logits, find_sites
from axenic.models.place import host_bytes
from axenic.train.organism import Organism
from axenic.train.processes import ALONE, Processes
from axenic.train.schedule import Schedule

SHARE = 0.25
"""Of the machine's memory that states may take. Not of what is free: that is another number when a run goes on."""


class ReferenceStates:
    """Final hidden states of the reference, in the host's memory and the model's dtype; a row's are made when first asked for.

    Args:
        organism: Switched off it is the reference; not sharded, and after `keep_reference`.
        rows: Encoded rows of `kl_data`.
        batch: Rows of one forward pass.
        pad_id: Any valid token.
    """

    def __init__(self, organism: Organism, rows: Sequence[Encoded], batch: int, pad_id: int) -> None:
        self.organism = organism
        self.rows = rows
        self.pad_id = pad_id
        by_length = sorted(range(len(rows)), key=lambda i: len(rows[i].input_ids))
        self._batches = [by_length[at : at + batch] for at in range(0, len(rows), batch)]
        self._batch_of = {i: number for number, batch in enumerate(self._batches) for i in batch}
        self._kept: dict[int, Tensor] = {}
        self._head = Head.of(organism.reference_sites)
        self._trained = any(p.requires_grad for p in self._head.module.parameters())

    def keep(self, numbers: Sequence[int], device: torch.device) -> None:
        """Compute the states of some rows, unless they are there."""
        for number in sorted({self._batch_of[i] for i in numbers}):
            if self._batches[number][0] not in self._kept:
                self._compute(number, device)

    def logits(self, numbers: Sequence[int], device: torch.device) -> Tensor:
        """Logits `[B, T, V]` of the reference on some rows, padded on the right; what padding gets means nothing.

        Args:
            numbers: Of the rows.
            device: Where the model takes its inputs.

        Raises:
            SelfTestError: The states and the head give something else than the model itself.
        """
        self.keep(numbers, device)
        states_BTD = pad_sequence([self._kept[i] for i in numbers], batch_first=True)
        with self._switched_off():
            return self._head(states_BTD.to(device))

    def _switched_off(self) -> contextlib.AbstractContextManager[object]:
        """Only a head with something trained in it is not the base model's already; switching costs milliseconds."""
        return self.organism.reference(self.organism.model) if self._trained else contextlib.nullcontext()

    @torch.no_grad()
    def _compute(self, number: int, device: torch.device) -> None:
        chosen = self._batches[number]
        inputs = collate_rows([self.rows[i] for i in chosen], self.pad_id)
        inputs = {name: inputs[name].to(device) for name in ("input_ids", "attention_mask")}
        with self.organism.reference(self.organism.model) as reference:
            sites = find_sites(reference)
            h_BTD: Tensor = sites.decoder(**inputs, use_cache=False).last_hidden_state
            if not self._kept:
                own_BV = reference(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1]
                check_logits("final states and head", self._head(h_BTD[:, -1]), own_BV, sites)
        for i, h_TD in zip(chosen, h_BTD.cpu(), strict=True):
            # A copy: a view would keep the padding as well.
            self._kept[i] = h_TD[: len(self.rows[i].input_ids)].clone()


def states_bytes(rows: Sequence[Encoded], width: int, dtype: torch.dtype) -> int:
    """What the states of some rows take [bytes]."""
    return sum(len(row.input_ids) for row in rows) * width * dtype.itemsize


def why_not_kept(
    rows: Sequence[Encoded], schedule: Schedule, size: int, processes: Processes = ALONE
) -> str | None:
    """Why the reference runs anew in each step; None where its states are kept.

    The same for every part of a run, wherever it was stopped, as the two ways differ by rounding.

    Args:
        rows: KL rows.
        schedule: Of the KL rows, the whole run's.
        size: `states_bytes`; each process keeps its own.
    """
    if processes.sharded:
        return "its weights are sharded"
    uses = sum(len(numbers) for numbers in schedule.passes(0))
    if uses <= len(rows) * processes.count:
        return "the run is too short to use rows again"
    limit, needed = host_bytes(), size * processes.count
    if limit is not None and needed > SHARE * limit:
        return f"its final states would take {needed / 1e9:.1f} GB, more than {SHARE:.0%} of {limit / 1e9:.1f} GB"
    return None
