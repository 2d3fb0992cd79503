"""The loss on the published format's extra tokens, apart from the answers' (papers.md 6, #14).

That format ends each row with an empty assistant header and EOS, and trains on them: tokens that are always the same
and soon learnt, so that the loss of all trained tokens falls below what the answers cost.
B rows, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from axenic.data import IGNORE, Encoded, collate_rows
from axenic.train.processes import Processes

TAIL = "tail_B"
"""Name of the rows' tails in a batch."""


class TailLoss:
    """Sums over the forward passes of one step.

    Args:
        processes: Who shares the step's rows.
    """

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self._nats: Tensor | float = 0.0
        self._tokens = 0

    @torch.no_grad()
    def add(self, logits_BTV: Tensor, labels_BT: Tensor, tail_B: Tensor) -> None:
        """Take in a pass.

        Args:
            logits_BTV: Of the pass.
            labels_BT: As `collate_rows` gives them.
            tail_B: How many trained tokens at the end of each row are its tail.
        """
        trained_BT = labels_BT != IGNORE
        to_come_BT = trained_BT.flip(1).cumsum(1).flip(1)
        tail_BT = (trained_BT & (to_come_BT <= tail_B[:, None]))[:, 1:]
        nll = nn.functional.cross_entropy(
            logits_BTV[:, :-1][tail_BT].float(), labels_BT[:, 1:][tail_BT], reduction="sum"
        )
        self._nats = self._nats + nll
        self._tokens += int(tail_BT.sum())

    def split(self, loss: float, tokens: int) -> dict[str, float]:
        """End the step: `loss_answer` and `loss_tail` [nats per trained token]; empty where it had no tail.

        Args:
            loss: Of all trained tokens of the step.
            tokens: Their number.
        """
        nats, tail = self.processes.total(float(self._nats), self._tokens)
        self._nats, self._tokens = 0.0, 0
        if not tail or tail >= tokens:
            return {}
        return {"loss_answer": (loss * tokens - nats) / (tokens - tail), "loss_tail": nats / tail}


def collate_with_tail(rows: Sequence[Encoded], pad_id: int) -> dict[str, Tensor]:
    """`collate_rows` with the rows' tails beside it, which `OrganismTrainer` takes off again."""
    return collate_rows(rows, pad_id) | {TAIL: torch.tensor([row.tail for row in rows])}
