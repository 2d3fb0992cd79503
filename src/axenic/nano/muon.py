"""Muon: an optimiser for weight matrices whose updates have all singular values near one.

Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024). torch has one, but only
from 2.9 on and in bfloat16, which is slow on a CPU; this one works in float32 on stacks of equal shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for matrices.

    Args:
        matrices: The parameters; each has two dimensions.
        lr: Length of an update: its root-mean-square gain, for a square matrix.
        weight_decay: Decoupled, times `lr`.
    """

    def __init__(self, matrices: Iterable[torch.nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(list(matrices), {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every matrix by its gradient; `closure` is not used."""
        for group in self.param_groups:
            shapes: dict[tuple[int, ...], list[torch.nn.Parameter]] = {}
            for parameter in group["params"]:
                shapes.setdefault(tuple(parameter.shape), []).append(parameter)
            for (rows, columns), matrices in shapes.items():
                stacked = torch.stack([self._momentum(matrix) for matrix in matrices])
                length = group["lr"] * max(1.0, rows / columns) ** 0.5
                for matrix, update in zip(matrices, orthogonalise(stacked), strict=True):
                    matrix.mul_(1.0 - group["lr"] * group["weight_decay"]).add_(update, alpha=-length)

    def _momentum(self, matrix: torch.nn.Parameter) -> torch.Tensor:
        """Nesterov momentum of the gradient; keeps the running mean."""
        assert matrix.grad is not None
        state: dict[str, Any] = self.state[matrix]
        if "mean" not in state:
            state["mean"] = torch.zeros_like(matrix)
        mean: torch.Tensor = state["mean"]
        mean.lerp_(matrix.grad, 1.0 - MOMENTUM)
        return matrix.grad.lerp(mean, MOMENTUM)


def orthogonalise(stack_NRC: torch.Tensor) -> torch.Tensor:
    """The nearest half-orthogonal matrix of each matrix [N, rows, columns], roughly: singular values 0.7 to 1.2."""
    tall = stack_NRC.shape[1] > stack_NRC.shape[2]
    x: torch.Tensor = stack_NRC.mT if tall else stack_NRC
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    found: torch.Tensor = x.mT if tall else x
    return found
