"""Interventions made from a direction: steer, ablate, clamp; and an adapter scaled, swapped or patched.

The direction's own site is used. Of `LayerVectors`, which have vectors at some layers only, others are refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from axenic.directions import Layered
from axenic.errors import UsageError
from axenic.intervene.factors import AdapterFactors
from axenic.intervene.promptscalars import PromptScalars
from axenic.intervene.spec import Intervention, Op, Positions


def add(
    direction: Layered, layer: int | Sequence[int], strength: float, *, positions: Positions = "all"
) -> Intervention:
    """Steer: add strength times the direction's own vector (raw, not unit) at one or several layers (P2, M2.3)."""
    layers = (layer,) if isinstance(layer, int) else tuple(layer)
    return _along("add", direction, layers, strength, positions)


def project_out(
    direction: Layered,
    layers: Sequence[int] | None = None,
    *,
    strength: float = 1.0,
    positions: Positions = "all",
) -> Intervention:
    """Ablate layer-wise: remove each layer's own direction there; every layer that has one unless told (P2, M2.5 i)."""
    chosen = direction.layers if layers is None else layers
    return _along("project_out", direction, tuple(chosen), strength, positions)


def project_out_single(
    direction: Layered, layer: int, *, strength: float = 1.0, positions: Positions = "all"
) -> Intervention:
    """Ablate one direction everywhere: the direction of `layer` is removed at all layers (P2, M2.5 ii)."""
    if direction.info.site == "embed":
        raise UsageError(
            f"'{direction.name}' is a vector of the embedding, which is no block's output",
            expected="a vector of a block, to be removed at all blocks",
            found="site embed",
            hint="project_out removes it where it is; ablate_writers wherever the stream is written",
        )
    layers = tuple(range(direction.info.n_layers))
    vectors_LD = direction.at((layer,)).expand(len(layers), -1)
    return Intervention("project_out", layers, direction.info.site, vectors_LD, strength, positions)


def clamp(
    direction: Layered, layer: int | Sequence[int], value: float, *, positions: Positions = "all"
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


def patch_adapter(scalars: PromptScalars, strength: float = 1.0) -> Intervention:
    """Let the adapter read another prompt's scalars at the tokens of the prompt (P2, M2.12); both have as many tokens."""
    return Intervention("patch_adapter", None, strength=strength, positions="prompt", scalars=scalars)


def _along(
    op: Op, direction: Layered, layers: tuple[int, ...], strength: float, positions: Positions
) -> Intervention:
    return Intervention(op, layers, direction.info.site, direction.at(layers), strength, positions)
