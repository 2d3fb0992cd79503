"""Texts side by side, and what settings say of their tokens: losses and KL, a few positions' logits at a time.

B texts, k settings side by side, T tokens, n positions that are looked at, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from axenic.data import IGNORE, Encoded, collate_rows
from axenic.interpret.fanout import FanOut

LOGIT_CELLS = 2**25
"""Logits in memory at a time, those of the base among them: 128 MiB in float32, and as much for each of their logarithms."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """Sums of B texts under k settings, float64 on the CPU."""

    nll_kB: Tensor
    kl_kB: Tensor | None


class TextBatch:
    """Some of the texts side by side, padded on the right, and the n positions among them that are looked at.

    Args:
        texts: B of them.
        kl: Whether all tokens are looked at, and not only those that predict a labelled one.
        device: Of the model.
    """

    def __init__(self, texts: Sequence[Encoded], kl: bool, device: torch.device) -> None:
        collated = collate_rows(texts, pad_id=0)
        next_BT = torch.full_like(collated["labels"], IGNORE)
        next_BT[:, :-1] = collated["labels"][:, 1:]
        looked_BT = collated["attention_mask"] != 0 if kl else next_BT != IGNORE
        self.ids_BT = collated["input_ids"].to(device)
        self.row_n, self._column_n = looked_BT.nonzero(as_tuple=True)
        self._target_n = next_BT[looked_BT]

    def pick(self, h_kBTD: Tensor) -> Tensor:
        """The positions that are looked at, `[k, n, D]`."""
        device = h_kBTD.device
        return h_kBTD[:, self.row_n.to(device), self._column_n.to(device)]

    def reduce(
        self,
        fan: FanOut,
        h_knD: Tensor,
        which: slice | None,
        reference: FanOut | None = None,
        base_1nD: Tensor | None = None,
    ) -> Reduced:
        """Losses, and with a reference the KL from what it says about `base_1nD`; a few positions' logits at a time."""
        weight = fan.head_weight
        wide = torch.promote_types(weight.dtype, torch.float32)
        target_n = self._target_n.to(weight.device)
        nlls, kls = [], []
        step = max(1, LOGIT_CELLS // ((len(h_knD) + 1) * len(weight)))
        for start in range(0, h_knD.shape[1], step):
            chunk = slice(start, start + step)
            log_q_kcV = torch.log_softmax(fan.head(h_knD[:, chunk], which), -1, dtype=wide)
            target_c = target_n[chunk]
            index_kc1 = target_c.clamp_min(0)[None, :, None].expand(len(h_knD), -1, 1)
            nll_kc = -log_q_kcV.gather(2, index_kc1)[..., 0]
            nlls.append(nll_kc.masked_fill(target_c == IGNORE, 0.0))
            if reference is not None and base_1nD is not None:
                log_p_1cV = torch.log_softmax(reference.head(base_1nD[:, chunk], None), -1, dtype=wide)
                p_1cV = log_p_1cV.exp()
                # A token that the base excludes (a logit of -inf) adds nothing, not 0 * inf.
                gap_kcV = log_q_kcV.neg_().add_(log_p_1cV).mul_(p_1cV).masked_fill_(p_1cV == 0, 0.0)
                # Rounding may leave -1e-9 where the two are equal; a KL is never negative.
                kls.append(gap_kcV.sum(-1).clamp_min_(0.0))
        return Reduced(self._by_row(nlls), self._by_row(kls) if kls else None)

    def _by_row(self, chunks: list[Tensor]) -> Tensor:
        values_kn = torch.cat(chunks, 1).cpu().double()
        sums_kB = torch.zeros(len(values_kn), int(self.row_n[-1]) + 1, dtype=torch.float64)
        return sums_kB.index_add_(1, self.row_n, values_kn)


def batches_of_texts(texts: Sequence[Encoded], batch_tokens: int) -> Iterator[list[int]]:
    """Texts of like length together, the longest first: what does not fit into memory fails at once."""
    order = sorted(range(len(texts)), key=lambda row: (-len(texts[row].input_ids), row))
    while order:
        count = max(1, batch_tokens // len(texts[order[0]].input_ids))
        rows, order = order[:count], order[count:]
        yield rows
