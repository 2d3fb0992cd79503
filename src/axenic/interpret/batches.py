"""Batches of conversations: sorted by length, padded on the right.

No attention mask is needed: a causal model's tokens never see the padding that stands after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from axenic.errors import UsageError
from axenic.interpret.conversation import Conversation, Span


@dataclass(frozen=True)
class Batch:
    """B conversations side by side; T is the longest.

    Args:
        rows: Index of each row's conversation in the list that was cut into batches.
        ids_BT: Token ids; padding is token 0, which nothing looks at.
        span_BT: True on the tokens of the span.
        answer_BT: True on the sampled tokens, whatever the span.
    """

    rows: tuple[int, ...]
    ids_BT: Tensor
    span_BT: Tensor
    answer_BT: Tensor


def batches(
    conversations: Sequence[Conversation],
    *,
    batch_tokens: int,
    span: Span = "answer",
    device: torch.device | str = "cpu",
) -> Iterator[Batch]:
    """Cut conversations into batches of at most `batch_tokens` tokens, padding counted, longest first.

    Longest first: a batch that does not fit into memory fails at once and not after an hour. A conversation
    that alone is longer makes a batch of its own. The cut depends on the lengths only.

    Raises:
        UsageError: `batch_tokens` is below 1.
    """
    if batch_tokens < 1:
        raise UsageError("batch_tokens is too small", expected="1 or more", found=batch_tokens)
    order = sorted(range(len(conversations)), key=lambda row: (-len(conversations[row].tokens), row))
    while order:
        count = max(1, batch_tokens // len(conversations[order[0]].tokens))
        rows, order = order[:count], order[count:]
        yield _batch(conversations, rows, span, torch.device(device))


def _batch(conversations: Sequence[Conversation], rows: list[int], span: Span, device: torch.device) -> Batch:
    length = max(len(conversations[row].tokens) for row in rows)
    padded = [[*conversations[row].tokens, *[0] * (length - len(conversations[row].tokens))] for row in rows]
    position_1T = torch.arange(length)[None]
    end_B1 = torch.tensor([len(conversations[row].tokens) for row in rows])[:, None]
    first_B1 = torch.tensor([conversations[row].start(span) for row in rows])[:, None]
    behind_B1 = torch.tensor([conversations[row].end(span) for row in rows])[:, None]
    answer_B1 = torch.tensor([len(conversations[row].prompt) for row in rows])[:, None]
    inside_BT = position_1T < end_B1
    return Batch(
        rows=tuple(rows),
        ids_BT=torch.tensor(padded, device=device),
        span_BT=((position_1T >= first_B1) & (position_1T < behind_B1)).to(device),
        answer_BT=(inside_BT & (position_1T >= answer_B1)).to(device),
    )
