"""The arms of an analysis: which interventions are tried, and what each is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from axenic.directions import Layered, LayerVectors, random_like
from axenic.directions.direction import row_norms
from axenic.errors import DirectionError, UsageError
from axenic.interpret.armresult import Role
from axenic.intervene import (
    PLAIN,
    Arm,
    Intervention,
    ablate_adapter,
    ablate_writers,
    add,
    project_out,
    project_out_single,
)
from axenic.models import OpenModel, Sites

Mode = Literal["layerwise", "single", "writers", "layer", "adapter-B"]
"""How to ablate (papers.md M2.5, M2.6). `layerwise`: each layer's own vector at its layer. The others take one layer's
vector: `single` out of the outputs of all blocks; `writers` out of the embedding and every attention and MLP output, as it
can be baked; `layer` out of that layer's output only; `adapter-B` out of what a LoRA adapter writes, its B scaled back to
its norm."""

StrengthUnit = Literal["raw", "unit", "residual"]
"""What a strength of 1 adds: the direction's own vector, a vector of norm 1, or one as long as the residual stream is on
average at that layer (`calibration["residual_norm"]`). Strengths of different layers or directions compare in the last."""


@dataclass(frozen=True)
class PlannedArm:
    """An arm and what it is for; the fields are those of `ArmResult`.

    `direction` is the label of the direction; None for plain and for controls that belong to all directions.
    """

    arm: Arm
    role: Role
    layer: int | None = None
    strength: float | None = None
    seed: int | None = None
    direction: str | None = None
    control_of: Role | None = None


PLAIN_ARM = PlannedArm(PLAIN, "plain")


def check_fits(opened: OpenModel, direction: Layered) -> None:
    """Refuse a model that the vectors were not made on. Raises `DirectionError`."""
    direction.check_fits(opened.identity.base, opened.sites.d_model, opened.sites.n_layers, opened.name)


def ablation_arms(
    direction: Layered,
    modes: Sequence[Mode],
    single_layer: int | None,
    controls: int,
    sites: Sites | None = None,
    adapter_layers: Sequence[int] | None = None,
) -> list[PlannedArm]:
    """Plain, the direction projected out in each mode, and random directions projected out in the same modes.

    Args:
        direction: What is ablated. Of vectors at some layers only, `layerwise` takes those.
        modes: At least one.
        single_layer: Whose vector all modes but `layerwise` take; None: `default_layer`.
        controls: How many random directions in each mode; seeds 0, 1, ... A control of the layer-wise mode has no `layer`,
            those of the others have that of the vector.
        sites: Of the model; needed for `writers` and `adapter-B`.
        adapter_layers: Blocks whose adapters `adapter-B` changes; None: all.

    Raises:
        UsageError: No mode, an unknown or repeated one, a layer that is not there, or fewer than 0 controls.
        ModelError, DirectionError: For `adapter-B`, see `ablate_adapter`.
    """
    known = get_args(Mode)
    unknown = [mode for mode in modes if mode not in known]
    if not modes or unknown or len(set(modes)) != len(modes):
        raise UsageError(
            "say how to ablate",
            expected="some of " + ", ".join(known) + ", each once",
            found=", ".join(modes) or "nothing",
        )
    if adapter_layers is not None and "adapter-B" not in modes:
        raise UsageError("layers of the adapter are for the mode adapter-B", found=", ".join(modes))
    if single_layer is None:
        # Layer-wise is of all layers: it must not fail for want of one.
        single_layer = direction.layers[0] if set(modes) == {"layerwise"} else default_layer(direction)
    layer = single_layer
    direction.at((layer,))
    _check_controls(controls)

    def planned(of: Layered, mode: Mode, seed: int | None = None) -> PlannedArm:
        done = _ablated(of, mode, layer, sites, adapter_layers)
        name, at = _mode_name(of, mode, layer, adapter_layers), None if mode == "layerwise" else layer
        if seed is None:
            return PlannedArm(Arm(name, done), mode, at)
        return PlannedArm(Arm(f"random {seed}, {name}", done), "random", at, seed=seed, control_of=mode)

    return [
        PLAIN_ARM,
        *(planned(direction, mode) for mode in modes),
        *(planned(random_like(direction, seed), mode, seed) for mode in modes for seed in range(controls)),
    ]


def _ablated(
    of: Layered, mode: Mode, layer: int, sites: Sites | None, adapter_layers: Sequence[int] | None
) -> tuple[Intervention, ...]:
    if mode == "layerwise":
        return (project_out(of),)
    if mode == "single":
        return (project_out_single(of, layer),)
    if mode == "layer":
        return (project_out(of, (layer,)),)
    if sites is None:
        raise UsageError(f"the mode {mode} needs the model", expected="sites", found="none")
    vector_D = of.at((layer,))[0]
    if mode == "writers":
        return ablate_writers(sites, vector_D)
    return (ablate_adapter(sites, vector_D, adapter_layers),)


def _mode_name(of: Layered, mode: Mode, layer: int, adapter_layers: Sequence[int] | None) -> str:
    """Of the arm, without its direction."""
    where = "" if adapter_layers is None else f" of layer {', '.join(map(str, adapter_layers))}"
    some = f" at layer {', '.join(map(str, of.layers))}" if isinstance(of, LayerVectors) else ""
    return {
        "layerwise": f"layer-wise{some}",
        "single": f"layer {layer}'s at all layers",
        "writers": f"layer {layer}'s at all writers",
        "layer": f"layer {layer}'s at that layer only",
        "adapter-B": f"layer {layer}'s out of B{where}",
    }[mode]


def default_layer(direction: Layered) -> int:
    """Whose vector is taken when nobody names a layer: the only one, else the one at the published relative depth.

    Raises:
        UsageError: There are several, and none at that depth.
    """
    if len(direction.layers) == 1:
        return direction.layers[0]
    layer = published_layer(direction.info.n_layers)
    if layer not in direction.layers:
        raise UsageError(
            f"direction '{direction.name}' has no vector at the published relative depth, layer {layer}",
            where=direction.path,
            expected=f"one of the layers that have one: {', '.join(map(str, direction.layers))}",
            found="no layer named",
            hint="name one: --layer, --single-layer or --layers",
        )
    return layer


def published_layer(n_layers: int) -> int:
    """The block whose output lies at the relative depth of the published single direction (P2 section 3.1).

    That one is the output of block 24 of 48, so 25/48 of the way through; block 2 of 6 (3/6), 14 of 28 (15/28).
    """
    return max(0, round(25 * n_layers / 48) - 1)


def steering_arms(
    direction: Layered,
    layers: Sequence[int],
    strengths: Sequence[float],
    controls: int,
    unit: StrengthUnit = "raw",
) -> list[PlannedArm]:
    """Plain, and for every layer and strength the direction added, and random directions of the same norm.

    An arm's `strength` is in `unit`; what is added at layer l has the norm strength x ‖v_l‖ (raw), strength (unit), or
    strength x the mean norm of the residual stream there (residual).

    Raises:
        DirectionError: Residual units, and the direction does not say how long the residual stream is.
        UsageError: No layer or strength, one that comes twice, a layer that is not there, a strength of 0
            (which is plain), or fewer than 0 controls.
    """
    for name, values in (("layer", layers), ("strength", strengths)):
        if not values or len(set(values)) != len(values):
            raise UsageError(f"every {name} of a sweep once", expected="one or more", found=list(values))
    if 0 in strengths:
        raise UsageError("strength 0 is the plain arm, which is always there", found=list(strengths))
    direction.at(layers)
    _check_controls(controls)
    factor = {layer: unit_factor(direction, layer, unit) for layer in layers}
    shown = "" if unit == "raw" else f" {unit}"
    sources: list[tuple[str, Role, int | None, Layered]] = [("", "direction", None, direction)]
    sources += [(f"random {seed} ", "random", seed, random_like(direction, seed)) for seed in range(controls)]
    return [
        PLAIN_ARM,
        *(
            PlannedArm(
                Arm(
                    f"{prefix}layer {layer} x {strength:g}{shown}",
                    (add(of, layer, strength * factor[layer]),),
                ),
                role,
                layer,
                float(strength),
                seed,
                control_of=None if seed is None else "direction",
            )
            for prefix, role, seed, of in sources
            for layer in layers
            for strength in strengths
        ),
    ]


def unit_factor(direction: Layered, layer: int, unit: StrengthUnit) -> float:
    """How many times the direction's own vector of a layer one unit of strength is.

    Raises:
        UsageError: An unknown unit.
        DirectionError: `residual`, and the direction does not say how long the residual stream is.
    """
    if unit not in get_args(StrengthUnit):
        raise UsageError(
            f"there is no unit '{unit}' of strength", expected=", ".join(get_args(StrengthUnit)), found=unit
        )
    if unit == "raw":
        return 1.0
    norm = float(row_norms(direction.at((layer,)))[0])
    if unit == "unit":
        return 1.0 / norm
    known = direction.info.calibration.get("residual_norm")
    length = known[layer] if isinstance(known, list) and 0 <= layer < len(known) else None
    if not isinstance(length, float | int) or not length > 0:
        raise DirectionError(
            f"direction '{direction.name}' does not say how long the residual stream is",
            where=f"calibration, residual_norm, layer {layer}",
            expected="a number above 0 for each layer",
            found=length,
            hint="axenic extract measures it; or give strengths in units raw or unit",
        )
    return float(length) / norm


def transfer_arms(directions: Mapping[str, Layered], controls: int) -> list[PlannedArm]:
    """Plain, every direction projected out layer-wise, and random directions.

    Projecting out takes unit vectors, so that one set of controls serves all directions of the same site and layers.

    Raises:
        UsageError: No direction, directions at different sites or layers, or fewer than 0 controls.
    """
    if not directions:
        raise UsageError("there is no direction to transfer")
    _check_controls(controls)
    first = next(iter(directions.values()))
    other = next((d for d in directions.values() if _places(d) != _places(first)), None)
    if other is not None:
        raise UsageError(
            "directions at different places cannot share their random controls",
            expected=f"all as '{first.name}': {_places(first)}",
            found=f"'{other.name}': {_places(other)}",
            hint="one axenic transfer for the directions of each kind, with an --out of its own",
        )
    return [
        PLAIN_ARM,
        *(
            PlannedArm(Arm(f"without {label}", (project_out(direction),)), "layerwise", direction=label)
            for label, direction in directions.items()
        ),
        *(
            PlannedArm(
                Arm(f"random {seed}", (project_out(random_like(first, seed)),)),
                "random",
                seed=seed,
                control_of="layerwise",
            )
            for seed in range(controls)
        ),
    ]


def _places(direction: Layered) -> str:
    return f"{direction.info.site} of layer {', '.join(map(str, direction.layers))}"


def _check_controls(controls: int) -> None:
    if controls < 0:
        raise UsageError("the number of controls is negative", expected="0 or more", found=controls)
