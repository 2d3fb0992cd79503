"""What training added at one module, and other values of it: scaled, with noise, or random of the same norm.

R rank, I inputs and O outputs of a module, D width.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from axenic.errors import UsageError


@dataclass(frozen=True, eq=False)
class LowRank:
    """`scale`·B·A, added to the weight of a linear module.

    Args:
        module: Its path in the base model, e.g. `model.layers.3.mlp.down_proj`.
        A_RI, B_OR: The factors, float32 or float64 on the CPU.
        scale: Of the adapter, times what the part was scaled by.
    """

    module: str
    A_RI: Tensor
    B_OR: Tensor
    scale: float

    def norm(self) -> float:
        """Frobenius norm of what is added, by the R x R Gram matrices; float64."""
        A_RI, B_OR = self.A_RI.double(), self.B_OR.double()
        return abs(self.scale) * math.sqrt(max(0.0, float(((A_RI @ A_RI.T) * (B_OR.T @ B_OR)).sum())))

    def scaled(self, factor: float) -> Self:
        """`factor` times what is added."""
        return replace(self, scale=self.scale * factor)

    def noisy(self, epsilon: float, seed: int) -> Self:
        """A and B each with noise, see `with_noise`; their product's norm is another than before."""
        return replace(
            self,
            A_RI=with_noise(self.A_RI, epsilon, seed, f"{self.module}.A"),
            B_OR=with_noise(self.B_OR, epsilon, seed, f"{self.module}.B"),
        )

    def random(self, seed: int) -> Self:
        """Random factors of the same shapes; what is added has the same norm."""
        A_RI = draw(self.A_RI.shape, seed, f"{self.module}.A").to(self.A_RI.dtype)
        B_OR = draw(self.B_OR.shape, seed, f"{self.module}.B")
        other = replace(self, A_RI=A_RI, B_OR=B_OR)
        return replace(other, B_OR=(B_OR * _ratio(self.norm(), other.norm())).to(self.B_OR.dtype))

    def tensors(self) -> dict[str, Tensor]:
        """The factors by name."""
        return {f"{self.module}.A": self.A_RI, f"{self.module}.B": self.B_OR}


@dataclass(frozen=True, eq=False)
class Shift:
    """`scale`·vector, added to every token of a module's output.

    Args:
        module: Path in the base model of the module whose output it is added to.
        vector_D: As stored, float32 or float64 on the CPU.
        scale: Alpha, times what the part was scaled by.
    """

    module: str
    vector_D: Tensor
    scale: float

    def norm(self) -> float:
        """Length of what is added; float64."""
        return abs(self.scale) * float(torch.linalg.vector_norm(self.vector_D.double()))

    def scaled(self, factor: float) -> Self:
        """`factor` times what is added."""
        return replace(self, scale=self.scale * factor)

    def noisy(self, epsilon: float, seed: int) -> Self:
        """The vector with noise, see `with_noise`; its length stays."""
        return replace(self, vector_D=with_noise(self.vector_D, epsilon, seed, self.module))

    def random(self, seed: int) -> Self:
        """A random vector of the same length."""
        return replace(self, vector_D=random_like(self.vector_D, seed, self.module))

    def tensors(self) -> dict[str, Tensor]:
        """The vector by name."""
        return {self.module: self.vector_D}


Part = LowRank | Shift


def with_noise(x: Tensor, epsilon: float, seed: int, name: str) -> Tensor:
    """sqrt(1 - ε²)·x + ε·y, where y is orthogonal to x and as long, so the sum is too (papers.md M3.8).

    The draw depends on seed, name and shape only: two solutions of one shape get the same, made orthogonal to each. A
    tensor of zeros stays one.

    Args:
        x: Any shape; taken as one long vector.
        epsilon: 0 (x itself, bit for bit) to 1 (noise alone).

    Raises:
        UsageError: Nothing is orthogonal to a single number.
    """
    if epsilon == 0 or not bool(x.any()):
        return x
    if x.numel() < 2:
        raise UsageError(
            "noise that is orthogonal to a single number does not exist", where=name, found=list(x.shape)
        )
    exact = x.double()
    norm = torch.linalg.vector_norm(exact)
    unit = exact / norm
    y = draw(x.shape, seed, name)
    for _ in range(2):  # once more, for what rounding left along x
        y -= unit * (unit * y).sum()
    y *= norm / torch.linalg.vector_norm(y)
    mixed: Tensor = math.sqrt(1 - epsilon**2) * exact + epsilon * y
    return mixed.to(x.dtype)


def random_like(x: Tensor, seed: int, name: str) -> Tensor:
    """A random tensor of the shape and Frobenius norm of x."""
    y = draw(x.shape, seed, name)
    norms = (float(torch.linalg.vector_norm(t.double())) for t in (x, y))
    return (y * _ratio(*norms)).to(x.dtype)


def draw(shape: torch.Size, seed: int, name: str) -> Tensor:
    """Standard normal numbers, float64: the same for the same seed, name and shape."""
    key = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(key[:7], "big"))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _ratio(wanted: float, found: float) -> float:
    return wanted / found if wanted else 0.0
