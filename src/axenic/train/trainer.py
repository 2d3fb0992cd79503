"""transformers' Trainer, whose passes may measure the rows' tails and add a KL term."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer

from axenic.train.kl import KLTerm, kl_sum
from axenic.train.organism import Organism
from axenic.train.tailloss import TAIL, TailLoss


class OrganismTrainer(Trainer):
    """The Trainer of every run; without a tail and a KL term it is transformers' own.

    Args:
        organism: What is trained; the reference of the KL term is the organism switched off.
        tail: Is shown the logits of every pass, if rows have tails.
        kl: The KL term, if there is one.
        arguments: As transformers' Trainer.
    """

    def __init__(
        self, *, organism: Organism, tail: TailLoss | None, kl: KLTerm | None, **arguments: Any
    ) -> None:
        super().__init__(model=organism.model, **arguments)
        self.organism = organism
        self.tail = tail
        self.kl = kl

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The usual loss; nothing of the gradient changes."""
        if self.tail is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        tail_B = inputs.pop(TAIL)
        loss, outputs = super().compute_loss(
            model, inputs, return_outputs=True, num_items_in_batch=num_items_in_batch
        )
        self.tail.add(outputs.logits, inputs["labels"], tail_B)
        return (loss, outputs) if return_outputs else loss

    def training_step(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor | Any],
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Forward and backward of one pass, and then of its KL rows; returns the loss without the KL term."""
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        if self.kl is not None:
            self._add_kl(model, self.kl)
        return loss

    def _add_kl(self, model: nn.Module, kl: KLTerm) -> None:
        numbers, inputs, factor = kl.next_pass(self.args.device)
        with torch.no_grad(), self.accelerator.autocast():
            reference_BTV = self._reference(model, kl, numbers, inputs)
        tuned_BTV = model(**inputs, use_cache=False).logits
        # accelerate returns float32, and where the inputs are, from the model that it prepared; not from parts or a copy.
        reference_BTV = reference_BTV.to(tuned_BTV)
        mask_BT = inputs["attention_mask"] * bool(factor)
        nats = kl_sum(tuned_BTV, reference_BTV, mask_BT)
        del tuned_BTV, reference_BTV
        kl.add(nats, factor)
        self.accelerator.backward(nats * factor)

    def _reference(
        self, model: nn.Module, kl: KLTerm, numbers: Sequence[int], inputs: dict[str, Tensor]
    ) -> Tensor:
        if kl.states is not None:
            return kl.states.logits(numbers, self.args.device)
        with self.organism.reference(model) as reference:
            logits_BTV: Tensor = reference(**inputs, use_cache=False).logits
        return logits_BTV
