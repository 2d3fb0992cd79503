"""Interventions made from a direction: steer, ablate, clamp; and an adapter scaled or swapped.

The direction's own site is used; row l of its vectors belongs to layer l.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from axenic.directions import Direction
from axenic.errors import UsageError
from axenic.intervene.factors import AdapterFactors
from axenic.intervene.spec import Intervention, Op, Positions


def add(
    direction: Direction, layer: int | Sequence[int], strength: float, *, positions: Positions = "all"
) -> Intervention:
    """Steer: add strength times the direction's own vector (raw, not unit) at one or several layers (P2, M2.3)."""
    layers = (layer,) if isinstance(layer, int) else tuple(layer)
    return _along("add", direction, layers, strength, positions)


def project_out(
    direction: Direction,
    layers: Sequence[int] | None = None,
    *,
    strength: float = 1.0,
    positions: Positions = "all",
) -> Intervention:
    """Ablate layer-wise: remove each layer's own direction there; every layer unless told (P2, M2.5 i)."""
    chosen = range(direction.info.n_layers) if layers is None else layers
    return _along("project_out", direction, tuple(chosen), strength, positions)


def project_out_single(
    direction: Direction, layer: int, *, strength: float = 1.0, positions: Positions = "all"
) -> Intervention:
    """Ablate one direction everywhere: the direction of `layer` is removed at all layers (P2, M2.5 ii)."""
    vector_D = _rows(direction, (layer,))[0]
    layers = tuple(range(direction.info.n_layers))
    vectors_LD = vector_D.expand(len(layers), -1)
    return Intervention("project_out", layers, direction.info.site, vectors_LD, strength, positions)


def clamp(
    direction: Direction, layer: int | Sequence[int], value: float, *, positions: Positions = "all"
) -> Intervention:
    """Hold the coordinate along the direction (unit vector) at `value`, in units of the activations."""
    layers = (layer,) if isinstance(layer, int) else tuple(layer)
    return _along("clamp", direction, layers, value, positions)


def scale_adapter(
    factor: float, layers: Sequence[int] | None = None, *, positions: Positions = "all"
) -> Intervention:
    """Multiply what the LoRA adapter adds, at these layers or everywhere; 0 switches it off (P2, M2.11)."""
    chosen = None if layers is None else tuple(layers)
    return Intervention("scale_adapter", chosen, strength=factor, positions=positions)


def swap_adapter(
    adapter: AdapterFactors, factor: float = 1.0, *, positions: Positions = "all"
) -> Intervention:
    """Put other factors in the place of the loaded adapter's, B times `factor`: a checkpoint, scaled (P1, M1.8)."""
    return Intervention("swap_adapter", None, strength=factor, positions=positions, adapter=adapter)


def _along(
    op: Op, direction: Direction, layers: tuple[int, ...], strength: float, positions: Positions
) -> Intervention:
    return Intervention(op, layers, direction.info.site, _rows(direction, layers), strength, positions)


def _rows(direction: Direction, layers: tuple[int, ...]) -> Tensor:
    for layer in layers:
        if not 0 <= layer < direction.info.n_layers:
            raise UsageError(
                f"direction '{direction.info.name}' has no layer {layer}",
                expected=f"0 to {direction.info.n_layers - 1}",
                found=layer,
            )
    return direction.vectors_LD[list(layers)]
