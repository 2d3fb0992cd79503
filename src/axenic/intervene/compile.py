"""From arms to places: which steps each arm takes at which module, checked against the model.

L layers, D width. A *place* is a (site, layer) pair; for the adapter operations one LoRA module, and for
`swap_adapter` the module's A factor too; for `patch_adapter` only that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from axenic.errors import DirectionError, ModelError, UsageError
from axenic.intervene.arm import Arm
from axenic.intervene.factors import short_name
from axenic.intervene.spec import Intervention, Op, Positions
from axenic.models import LoraSite, Sites


@dataclass(frozen=True, eq=False)
class Step:
    """One operation of one arm at one place.

    `vector_D` is float32, not normalised (None for the adapter operations); `matrix_OI` is what `swap_adapter`
    multiplies the module's input with, before `strength`; `scalars_TR` is what `patch_adapter` puts in.
    """

    op: Op
    positions: Positions
    strength: float
    vector_D: Tensor | None
    matrix_OI: Tensor | None = None
    scalars_TR: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Place:
    """One module to hook, and each arm's steps there in their order (most often none or one).

    `key` is (site, layer); for the adapter operations (name of the LoRA module, layer), with `.lora_A` behind the
    name for the A factor.
    """

    key: tuple[str, int]
    module: nn.Module
    steps_of_arm: list[list[Step]] = field(default_factory=list)


def compile_arms(sites: Sites, arms: Sequence[Arm]) -> list[Place]:
    """Collect the places that some arm touches, in the order in which they are first named.

    Raises:
        UsageError: No arm, or a layer that the model does not have.
        DirectionError: A vector of another width than the model.
        ModelError: An adapter operation without an adapter, or with one that cannot be scaled, swapped or patched so.
    """
    if not arms:
        raise UsageError("there is no arm", expected="at least one, such as PLAIN")
    places: dict[tuple[str, int], Place] = {}
    for index, arm in enumerate(arms):
        for one in arm.interventions:
            for key, module, step in _TARGETS.get(one.op, _targets)(sites, arm, one):
                place = places.setdefault(key, Place(key, module, [[] for _ in arms]))
                steps = place.steps_of_arm[index]
                if one.op != "swap_adapter":
                    steps.append(step)
                elif any(other.op == "swap_adapter" for other in steps):
                    raise UsageError("an arm swaps the adapter twice", where=f"arm '{arm.name}'")
                else:
                    # It computes the output anew, so it comes first: a scaling before it must not be lost.
                    steps.insert(0, step)
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
    loras = _loras(sites, arm, one)
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


def _swap_targets(sites: Sites, arm: Arm, one: Intervention) -> list[_Target]:
    assert one.adapter is not None
    where = f"swap_adapter of arm '{arm.name}'"
    loras = {short_name(lora): lora for lora in _loras(sites, arm, one).values()}
    other = sorted(set(loras) ^ set(one.adapter.modules))
    if other:
        raise ModelError(
            f"the factors are not those of this adapter: {other[0]}",
            where=where,
            expected="factors for exactly the modules that the loaded adapter has: " + _some(sorted(loras)),
            found=_some(sorted(one.adapter.modules)),
        )
    targets: list[_Target] = []
    for name, (A, B) in one.adapter.modules.items():
        lora = loras[name]
        for part, module, matrix_OI in (("A", lora.lora_A, A), ("B", lora.lora_B, B)):
            if not isinstance(module, nn.Linear) or "bias" in dict(module.named_parameters()):
                raise ModelError(
                    "this adapter cannot be swapped",
                    where=f"{where}, {name}, {part}",
                    expected="a linear factor without a bias",
                    found=type(module).__name__,
                )
            if module.weight.shape != matrix_OI.shape:
                raise ModelError(
                    "the factors do not fit the loaded adapter",
                    where=f"{where}, {name}, {part}",
                    expected=list(module.weight.shape),
                    found=list(matrix_OI.shape),
                )
        key = (lora.module_name, lora.layer)
        inner = Step(one.op, one.positions, 1.0, None, A)
        targets.append(((f"{lora.module_name}.lora_A", lora.layer), lora.lora_A, inner))
        targets.append((key, lora.lora_B, Step(one.op, one.positions, one.strength, None, B)))
    return targets


def _patch_targets(sites: Sites, arm: Arm, one: Intervention) -> list[_Target]:
    assert one.scalars is not None
    # Behind the last block only some tokens are read: a head runs on the last one of a prompt.
    loras = {
        short_name(lora): lora for lora in _loras(sites, arm, one).values() if lora.layer < sites.n_layers
    }
    targets: list[_Target] = []
    for name, scalars_TR in one.scalars.modules.items():
        lora = loras.get(name)
        # The factor is no Linear in every variant, but the rank is always the width of B's input.
        rank = None if lora is None else next(lora.lora_B.parameters()).shape[1]
        if lora is None or rank != scalars_TR.shape[1]:
            raise ModelError(
                f"the scalars are not of this adapter: {name}",
                where=f"patch_adapter of arm '{arm.name}'",
                expected=f"a module in a block, such as {_some(sorted(loras))}"
                if lora is None
                else f"rank {rank}",
                found=name if lora is None else f"rank {scalars_TR.shape[1]}",
            )
        step = Step(one.op, one.positions, one.strength, None, scalars_TR=scalars_TR)
        targets.append(((f"{lora.module_name}.lora_A", lora.layer), lora.lora_A, step))
    return targets


def _loras(sites: Sites, arm: Arm, one: Intervention) -> dict[str, LoraSite]:
    loras = sites.lora_modules()
    if not loras:
        raise ModelError(
            f"there is no adapter to {one.op.removesuffix('_adapter')}",
            where=f"{one.op} of arm '{arm.name}'",
            expected="a model opened with a LoRA organism",
            found="a plain model or merged weights",
        )
    return loras


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


_TARGETS = {
    "scale_adapter": _adapter_targets,
    "swap_adapter": _swap_targets,
    "patch_adapter": _patch_targets,
}
