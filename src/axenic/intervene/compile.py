"""From arms to places: which steps each arm takes at which module, checked against the model.

L layers, D width. A *place* is a (site, layer) pair, or one LoRA module for `scale_adapter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from axenic.errors import DirectionError, ModelError, UsageError
from axenic.intervene.arm import Arm
from axenic.intervene.spec import Intervention, Op, Positions
from axenic.models import Sites


@dataclass(frozen=True, eq=False)
class Step:
    """One operation of one arm at one place; `vector_D` is float32 (None for `scale_adapter`), not normalised."""

    op: Op
    positions: Positions
    strength: float
    vector_D: Tensor | None


@dataclass(frozen=True, eq=False)
class Place:
    """One module to hook, and each arm's steps there in their order (most often none or one).

    `key` is (site, layer); for `scale_adapter` (name of the LoRA module, layer).
    """

    key: tuple[str, int]
    module: nn.Module
    steps_of_arm: list[list[Step]] = field(default_factory=list)


def compile_arms(sites: Sites, arms: Sequence[Arm]) -> list[Place]:
    """Collect the places that some arm touches, in the order in which they are first named.

    Raises:
        UsageError: No arm, or a layer that the model does not have.
        DirectionError: A vector of another width than the model.
        ModelError: `scale_adapter` without an adapter, or with one that cannot be scaled.
    """
    if not arms:
        raise UsageError("there is no arm", expected="at least one, such as PLAIN")
    places: dict[tuple[str, int], Place] = {}
    for index, arm in enumerate(arms):
        for one in arm.interventions:
            targets = (
                _adapter_targets(sites, arm, one) if one.op == "scale_adapter" else _targets(sites, arm, one)
            )
            for key, module, step in targets:
                place = places.setdefault(key, Place(key, module, [[] for _ in arms]))
                place.steps_of_arm[index].append(step)
    return list(places.values())


_Target = tuple[tuple[str, int], nn.Module, Step]


def _targets(sites: Sites, arm: Arm, one: Intervention) -> list[_Target]:
    assert one.layers is not None
    assert one.vectors_LD is not None
    if one.vectors_LD.shape[1] != sites.d_model:
        raise DirectionError(
            "a vector does not fit the model",
            where=f"{one.op} of arm '{arm.name}'",
            expected=f"{sites.d_model} values (the model's hidden size)",
            found=one.vectors_LD.shape[1],
        )
    return [
        (
            (one.site, layer),
            sites.module(one.site, layer),
            Step(one.op, one.positions, one.strength, vector_D),
        )
        for layer, vector_D in zip(one.layers, one.vectors_LD, strict=True)
    ]


def _adapter_targets(sites: Sites, arm: Arm, one: Intervention) -> list[_Target]:
    loras = sites.lora_modules()
    if not loras:
        raise ModelError(
            "there is no adapter to scale",
            where=f"scale_adapter of arm '{arm.name}'",
            expected="a model opened with a LoRA organism",
            found="a plain model or merged weights",
        )
    for layer in one.layers or ():
        if not 0 <= layer < sites.n_layers:
            raise UsageError(
                f"the model has no layer {layer}", expected=f"0 to {sites.n_layers - 1}", found=layer
            )
        if not any(lora.layer == layer for lora in loras.values()):
            raise ModelError(
                f"the adapter has no module at layer {layer}",
                where=f"scale_adapter of arm '{arm.name}'",
                expected="one of the layers "
                + ", ".join(map(str, sorted({lora.layer for lora in loras.values()}))),
                found=layer,
            )
    step = Step(one.op, one.positions, one.strength, None)
    return [
        ((lora.module_name, lora.layer), lora.lora_B, step)
        for lora in loras.values()
        if one.layers is None or lora.layer in one.layers
    ]
