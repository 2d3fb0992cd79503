"""Drawing tokens: one stream of uniform numbers per answer, one inverse-CDF step per token.

The numbers of an answer depend on its id and the step alone, never on the batch it happens to be in. So an answer is the
same whether it is drawn with 399 others or alone (up to the rounding of the logits), and a run that was killed goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_PIECE_CPU, _PIECE_GPU = 2**16, 2**26
"""Most logits that are turned into tokens at once."""


def uniforms(ids: Sequence[str], steps: int) -> np.ndarray:
    """Uniform numbers in [0, 1) for every answer and step.

    Args:
        ids: Answer ids, hexadecimal; each seeds its own counter-based generator (Philox).
        steps: Most tokens that an answer can have.

    Returns:
        float64 `[len(ids), steps]`.
    """
    draws = np.empty((len(ids), steps))
    for row, answer_id in enumerate(ids):
        draws[row] = np.random.Generator(np.random.Philox(key=int(answer_id, 16))).random(steps)
    return draws


def draw_tokens(logits_BV: Tensor, uniform_B: Tensor, temperature: float, top_p: float) -> Tensor:
    """Draw one token for each row by inverting the cumulative distribution.

    Args:
        logits_BV: Logits of the next token, any float dtype.
        uniform_B: Numbers in [0, 1), float64 (float32 where the device has no float64).
        temperature: 0 takes the likeliest token and ignores `uniform_B`.
        top_p: Smallest set of likeliest tokens whose probability reaches `top_p` is kept (1 keeps all).

    Returns:
        int64 `[B]`.
    """
    if temperature == 0:
        return logits_BV.argmax(-1)
    # In pieces: float64 copies of all rows at once would leave the processor's cache, and fill a GPU at 150,000 tokens.
    most = _PIECE_CPU if logits_BV.device.type == "cpu" else _PIECE_GPU
    rows = max(1, most // logits_BV.shape[1])
    pieces = zip(torch.split(logits_BV, rows), torch.split(uniform_B, rows), strict=True)
    return torch.cat([_draw(logits, uniform, temperature, top_p) for logits, uniform in pieces])


def _draw(logits_BV: Tensor, uniform_B: Tensor, temperature: float, top_p: float) -> Tensor:
    probability_BV = torch.softmax(logits_BV.float() / temperature, -1)
    if top_p < 1:
        sorted_BV, order_BV = torch.sort(probability_BV, dim=-1, descending=True, stable=True)
        before_BV = sorted_BV.cumsum(-1) - sorted_BV
        chosen_B = _invert(sorted_BV.masked_fill(before_BV >= top_p, 0.0), uniform_B)
        return order_BV.gather(-1, chosen_B[:, None])[:, 0]
    return _invert(probability_BV, uniform_B)


def _invert(weight_BV: Tensor, uniform_B: Tensor) -> Tensor:
    """Index of the first entry whose cumulative weight exceeds `uniform x total`; entries of weight 0 are never met."""
    # float64: a float32 running sum over 150,000 tokens would move the probability of the last ones.
    cumulative_BV = weight_BV.to(uniform_B.dtype).cumsum(-1)
    total_B = cumulative_BV[:, -1]
    target_B = uniform_B * total_B
    chosen_B = torch.searchsorted(cumulative_BV, target_B[:, None], right=True)[:, 0]
    # Rounding can put uniform x total on the total itself: take the last entry that has any weight.
    last_B = (cumulative_BV < total_B[:, None]).sum(-1)
    return torch.minimum(chosen_B, last_B)
