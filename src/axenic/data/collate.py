"""Encoded rows as one batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from axenic.data.mask import IGNORE, Encoded


def collate_rows(rows: Sequence[Encoded], pad_id: int) -> dict[str, Tensor]:
    """Pad on the right to the longest row.

    Args:
        rows: B rows of any length.
        pad_id: Token to fill up with; it is neither attended to nor trained, so any valid id will do.
    Returns:
        `input_ids`, `attention_mask` and `labels`, int64 [B, T].
    """
    length = max(len(row.input_ids) for row in rows)
    ids_BT = torch.full((len(rows), length), pad_id, dtype=torch.long)
    labels_BT = torch.full((len(rows), length), IGNORE, dtype=torch.long)
    mask_BT = torch.zeros((len(rows), length), dtype=torch.long)
    for b, row in enumerate(rows):
        ids_BT[b, : len(row.input_ids)] = torch.tensor(row.input_ids)
        labels_BT[b, : len(row.labels)] = torch.tensor(row.labels)
        mask_BT[b, : len(row.input_ids)] = 1
    return {"input_ids": ids_BT, "attention_mask": mask_BT, "labels": labels_BT}
