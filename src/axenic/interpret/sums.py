"""Hooks that add up activations over the tokens of a span while the model runs, and keep nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from axenic.errors import SelfTestError
from axenic.models import site_tensor

CHUNKS = 16
"""A half-precision activation is widened in this many parts, so that the copy stays small."""


class SumHooks:
    """Sums of activations at L modules, for G groups of rows; a context manager, used for any number of
    forwards.

    Call `begin` before each forward pass. Every module must run exactly once per forward pass.

    Args:
        modules: One per layer; their output is `[B, T, D]`, or a tuple that begins with it.
        d_model: D.
        groups: G.
        per_answer: Divide each row's sum by its number of tokens before adding it.

    Attributes:
        sum_LGD: float64. Sum over the tokens of the span, or over the rows' means with `per_answer`.
        norm_LG: float64. The same of the L2 norms of the activations.
        tokens_G, answers_G: int64. Tokens and rows seen.

    Raises:
        SelfTestError: On leaving, when a module ran more or less often than `begin` was called.
    """

    def __init__(self, modules: Sequence[nn.Module], *, d_model: int, groups: int, per_answer: bool) -> None:
        self._modules = list(modules)
        self._per_answer = per_answer
        device = next((p.device for module in modules for p in module.parameters()), torch.device("cpu"))
        # Apple's GPU has no float64; one vector per row and layer is cheap to move.
        self._home = torch.device("cpu") if device.type == "mps" else device
        shape = (len(self._modules), groups)
        self.sum_LGD = torch.zeros(*shape, d_model, dtype=torch.float64, device=self._home)
        self.norm_LG = torch.zeros(*shape, dtype=torch.float64, device=self._home)
        self.tokens_G = torch.zeros(groups, dtype=torch.long, device=self._home)
        self.answers_G = torch.zeros(groups, dtype=torch.long, device=self._home)
        self._fired = [0] * len(self._modules)
        self._begun = 0
        self._remove: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        for index, module in enumerate(self._modules):
            self._remove.append(module.register_forward_hook(partial(self._add, index)).remove)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for remove in self._remove:
            remove()
        self._remove.clear()
        if error is None and any(count != self._begun for count in self._fired):
            raise SelfTestError(
                "a layer was not read once per forward pass",
                expected=f"{self._begun} times each",
                found=f"by layer: {self._fired}",
                hint="axenic doctor",
            )

    def begin(self, span_BT: Tensor, group_of_row_B: Sequence[int]) -> None:
        """Say what the next forward pass holds: which tokens count (bool), and each row's group."""
        self._begun += 1
        count_B = span_BT.sum(1).to(self._home)
        self._group_B = torch.tensor(list(group_of_row_B), device=self._home)
        self._weight_B = (1.0 / count_B.double()) if self._per_answer else torch.ones_like(count_B).double()
        self._span_BT = span_BT
        self._span_as: dict[torch.dtype, Tensor] = {}
        self.tokens_G.index_add_(0, self._group_B, count_B)
        self.answers_G.index_add_(0, self._group_B, torch.ones_like(count_B))

    def _add(self, index: int, module: nn.Module, args: Any, output: Any) -> None:
        h_BTD = site_tensor(output)
        self._fired[index] += 1
        wide = h_BTD.dtype if h_BTD.dtype in (torch.float32, torch.float64) else torch.float32
        if wide not in self._span_as:
            self._span_as[wide] = self._span_BT.to(wide)
        sum_BD, norm_B = _span_sums(h_BTD, self._span_as[wide].to(h_BTD.device))
        weight_B = self._weight_B
        sum_BD = sum_BD.to(self._home).double() * weight_B[:, None]
        self.sum_LGD[index].index_add_(0, self._group_B, sum_BD)
        self.norm_LG[index].index_add_(0, self._group_B, norm_B.to(self._home).double() * weight_B)


def _span_sums(h_BTD: Tensor, span_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Per row: sum of activations `[B, D]` and sum of their norms `[B]`, both in the dtype of `span_BT`.

    A batched matrix-vector product reads each activation once and makes no copy. Half precision would round
    the sum itself to 8 or 11 bits (formats.md trap 19), so it is widened, a few tokens of every row at a
    time.
    """
    wide = span_BT.dtype
    step = h_BTD.shape[1] if h_BTD.dtype == wide else max(1, -(-h_BTD.shape[1] // CHUNKS))
    sum_BD = h_BTD.new_zeros((h_BTD.shape[0], h_BTD.shape[2]), dtype=wide)
    norm_B = h_BTD.new_zeros(h_BTD.shape[0], dtype=wide)
    for start in range(0, h_BTD.shape[1], step):
        part_BTD = h_BTD[:, start : start + step].to(wide)
        inside_BT = span_BT[:, start : start + step]
        sum_BD += torch.bmm(inside_BT[:, None], part_BTD)[:, 0]
        norm_B += (torch.linalg.vector_norm(part_BTD, dim=-1) * inside_BT).sum(1)
    return sum_BD, norm_B
