"""The comparison of two directions, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from axenic.directions.algebra import Vectors, cosines, norms


@dataclass(frozen=True, eq=False)
class DirectionComparison:
    """Cosines and norms of two directions: `cosine_L`, `norm_a_L`, `norm_b_L`, float64 [L]."""

    name_a: str
    name_b: str
    cosine_L: Tensor
    norm_a_L: Tensor
    norm_b_L: Tensor

    @property
    def n_layers(self) -> int:
        return len(self.cosine_L)

    @property
    def mean(self) -> float:
        """Mean cosine over the layers."""
        return float(self.cosine_L.mean())

    @property
    def lowest(self) -> tuple[int, float]:
        """The layer where they agree least, and the cosine there."""
        layer = int(self.cosine_L.argmin())
        return layer, float(self.cosine_L[layer])

    @property
    def highest(self) -> tuple[int, float]:
        """The layer where they agree most, and the cosine there."""
        layer = int(self.cosine_L.argmax())
        return layer, float(self.cosine_L[layer])

    def n_above(self, threshold: float = 0.8) -> int:
        """Layers with a cosine above the threshold; 0.8 is that of Figure 2 of P2 (Convergent Directions)."""
        return int((self.cosine_L > threshold).sum())

    def to_json(self) -> dict[str, Any]:
        """Every figure as plain JSON."""
        return {
            "a": self.name_a,
            "b": self.name_b,
            "n_layers": self.n_layers,
            "cosine": self.cosine_L.tolist(),
            "norm_a": self.norm_a_L.tolist(),
            "norm_b": self.norm_b_L.tolist(),
            "mean": self.mean,
            "lowest": {"layer": self.lowest[0], "cosine": self.lowest[1]},
            "highest": {"layer": self.highest[0], "cosine": self.highest[1]},
            "n_above_0.8": self.n_above(),
        }


def compare_directions(a: Vectors, b: Vectors) -> DirectionComparison:
    """Compare two directions of the same shape [L, D], Axenic's or published ones.

    Raises:
        DirectionError: The shapes differ.
    """
    return DirectionComparison(a.name, b.name, cosines(a, b), norms(a), norms(b))
