"""Algebra on directions, layer by layer, in float64."""

from __future__ import annotations

from typing import Protocol, overload

import torch
from torch import Tensor

from axenic.directions.direction import Direction, row_norms
from axenic.directions.layer_vectors import Layered, LayerVectors
from axenic.errors import DirectionError


class Vectors(Protocol):
    """Anything with a name and one vector per layer: a `Direction`, or a file of the authors."""

    @property
    def name(self) -> str: ...

    @property
    def vectors_LD(self) -> Tensor: ...


def norms(a: Vectors) -> Tensor:
    """Euclidean norm of each row, float64 [L]."""
    return row_norms(a.vectors_LD)


def cosines(a: Vectors, b: Vectors) -> Tensor:
    """Cosine between the rows of `a` and `b` at each layer, float64 [L], in [-1, 1].

    Raises:
        DirectionError: The shapes differ.
    """
    if a.vectors_LD.shape != b.vectors_LD.shape:
        raise DirectionError(
            f"{a.name} and {b.name} are of different shapes and cannot be compared",
            expected=f"{list(a.vectors_LD.shape)} ({a.name})",
            found=f"{list(b.vectors_LD.shape)} ({b.name})",
        )
    dots_L = (a.vectors_LD.double() * b.vectors_LD.double()).sum(dim=1)
    return (dots_L / (norms(a) * norms(b))).clamp(-1.0, 1.0)


def cosines_with(a: Vectors, vector_D: Tensor) -> Tensor:
    """Cosine of every row of `a` with one vector, float64 [L].

    Args:
        a: Rows [L, D].
        vector_D: One vector [D] of norm above 0, e.g. the end of a steering vector's trajectory.

    Raises:
        DirectionError: The widths differ, or the vector is zero.
    """
    D = a.vectors_LD.shape[1]
    norm = torch.linalg.vector_norm(vector_D.double())
    if vector_D.shape != (D,) or not bool(norm > 0):
        raise DirectionError(
            f"{a.name} cannot be compared with this vector",
            expected=f"one vector [{D}] of norm above 0",
            found=f"{list(vector_D.shape)}, norm {float(norm):.3g}",
        )
    cosine_L: Tensor = (a.vectors_LD.double() @ vector_D.double()) / (norms(a) * norm)
    return cosine_L.clamp(-1.0, 1.0)


@overload
def random_like(direction: Direction, seed: int) -> Direction: ...
@overload
def random_like(direction: LayerVectors, seed: int) -> LayerVectors: ...
def random_like(direction: Layered, seed: int) -> Layered:
    """A control: in each layer that has a vector, a Gaussian direction of the same norm as the given one.

    The vector is normalised before it takes the norm; without that it is sqrt(D) times too long
    (docs: shared formats, trap 12).

    Args:
        direction: What the control is for.
        seed: Seed of a generator that is used for nothing else; recorded in the name and the recipe.
    """
    generator = torch.Generator().manual_seed(seed)
    vectors_KD = direction.at(direction.layers)
    draw_KD = torch.randn(vectors_KD.shape, generator=generator, dtype=torch.float64)
    unit_KD = draw_KD / row_norms(draw_KD)[:, None]
    random_KD = (unit_KD * row_norms(vectors_KD)[:, None]).float()
    info = direction.info.model_copy(
        update={
            "name": f"{direction.info.name}-random-{seed}",
            "recipe": {"kind": "random control", "seed": seed, "same_norms_as": direction.id},
            "calibration": {},
            "created_by": "axenic random_like",
        }
    )
    if isinstance(direction, LayerVectors):
        return LayerVectors(direction.layers, random_KD, info)
    return Direction(random_KD, info)
