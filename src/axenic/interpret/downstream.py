"""Do an adapter and a direction that look unlike each other come to the same downstream? (papers.md M2.7)

L layers, D = d_model, R rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor

from axenic.directions import Direction, random_like
from axenic.errors import UsageError
from axenic.evaluate import Scored
from axenic.files import write_json
from axenic.interpret.armresult import parse_result
from axenic.interpret.arms import check_fits, published_layer
from axenic.interpret.capability import pick_answers
from axenic.interpret.contrast import choose_contrast
from axenic.interpret.conversation import Span, conversations_of
from axenic.interpret.label import label_of
from axenic.interpret.means import BATCH_TOKENS, Weighting, answer_means
from axenic.interpret.unadapted import base_of
from axenic.intervene import PLAIN, Arm, add
from axenic.models import OpenModel
from axenic.progress import Progress, silent

FILE = "downstream.json"
TEXTS: tuple[Literal["aligned", "misaligned"], ...] = ("aligned", "misaligned")


@dataclass(frozen=True)
class AdapterCosine:
    """One LoRA module that writes into the residual stream, against the direction of its layer.

    Attributes:
        layer, module: Where it sits.
        rank: R.
        alignment: Length of the unit direction's projection onto what B can write, 0 to 1; of rank 1 the absolute cosine
            (the sign of a B is arbitrary: A and B may both be negated).
        chance: The same of a random direction on average (root mean square): sqrt(R / D).
    """

    layer: int
    module: str
    rank: int
    alignment: float
    chance: float


@dataclass(frozen=True)
class RandomCosines:
    """A control: the cosines when the base model is steered with a random vector of the same norm."""

    seed: int
    cosines: tuple[float | None, ...]


@dataclass(frozen=True)
class DownstreamCurve:
    """Both effects on one class of texts, layer by layer.

    Attributes:
        texts: Which answers were read.
        n_answers: How many.
        cosines: Of (organism - base) with (steered base - base); None where one of the two is zero, as below the steered
            layer.
        random: The same with random vectors in place of the direction.
        adapter_norms, steered_norms: Lengths of the two effects.
        base_norms: Mean norm of the base model's residual stream.
    """

    texts: Literal["aligned", "misaligned"]
    n_answers: int
    cosines: tuple[float | None, ...]
    random: tuple[RandomCosines, ...]
    adapter_norms: tuple[float, ...]
    steered_norms: tuple[float, ...]
    base_norms: tuple[float, ...]


@dataclass(frozen=True)
class DownstreamResult:
    """What `compare_downstream` found.

    Attributes:
        label: The organism.
        direction: Name of the direction.
        layer: Where the base model was steered.
        strength: In mean norms of the base model's residual stream there, over all texts read.
        added_norm: Length of the vector that was added.
        adapters: Every LoRA module that writes into the residual stream; empty of a full fine-tune.
        curves: On aligned and on misaligned answers.
    """

    label: str
    direction: str
    layer: int
    strength: float
    added_norm: float
    adapters: tuple[AdapterCosine, ...]
    curves: tuple[DownstreamCurve, ...]

    def to_json(self) -> dict[str, Any]:
        """All fields with `"kind": "downstream"`."""
        return {
            "kind": "downstream",
            "label": self.label,
            "direction": self.direction,
            "layer": self.layer,
            "strength": self.strength,
            "added_norm": self.added_norm,
            "adapters": [vars(adapter) for adapter in self.adapters],
            "curves": [
                {
                    "texts": curve.texts,
                    "n_answers": curve.n_answers,
                    "cosines": list(curve.cosines),
                    "random": [{"seed": r.seed, "cosines": list(r.cosines)} for r in curve.random],
                    "adapter_norms": list(curve.adapter_norms),
                    "steered_norms": list(curve.steered_norms),
                    "base_norms": list(curve.base_norms),
                }
                for curve in self.curves
            ],
        }

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "downstream", row)


def compare_downstream(
    opened: OpenModel,
    direction: Direction,
    scored: Sequence[Scored],
    *,
    layer: int | None = None,
    strength: float = 0.6,
    controls: int = 3,
    most: int = 500,
    base: OpenModel | None = None,
    span: Span = "answer",
    weighting: Weighting = "token",
    seed: int = 0,
    label: str | None = None,
    out: str | Path | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress = silent,
) -> DownstreamResult:
    """How alike the adapter's effect on activations is to that of steering the base model with a direction.

    Both effects are differences of mean activations over the same texts: organism - base model, and base model steered at
    one layer - base model. Published: the B of a rank-1 adapter is all but orthogonal to the mean difference (cosine 0.04),
    and yet the effects agree downstream (0.42 at layer 40 of 48, more on misaligned texts; papers.md 3c rows 17, 19).

    Args:
        opened: The organism.
        direction: Of its base model.
        scored: Judged answers; the misaligned and the aligned ones are read (see `choose_contrast`).
        layer: Where the base model is steered; None: the published relative depth.
        strength: Length of the added vector in mean residual norms of the base model at that layer; 0.6 as published.
        controls: Random vectors of the same norm.
        most: Answers of each class that are read.
        base: The base model of an organism without an adapter; see `base_of`.
        span, weighting, batch_tokens: As for `answer_means`.
        seed: Of the choice among more than `most` answers.
        label: What the organism is called in the result; None: its folder's name.
        out: A folder for `downstream.json`; None writes nothing.
        progress: Told after every batch of every pass; there are 3 + `controls` passes.

    Raises:
        DirectionError: The direction was made on another model.
        UsageError: No organism, a layer that is not there, a strength of 0, or fewer than 0 controls.
        DataError: Too few answers of a class.
        FileError, DiskFullError: The file cannot be written.
    """
    check_fits(opened, direction)
    at = published_layer(opened.sites.n_layers) if layer is None else layer
    opened.sites.check("resid_post", at)
    if opened.identity.organism is None:
        raise UsageError("a base model has no adapter to compare with", found=opened.name)
    if not (math.isfinite(strength) and strength != 0) or controls < 0 or most < 1:
        raise UsageError(
            "this cannot be compared",
            expected="a strength that is not 0, 0 or more controls, and 1 answer or more of each class",
            found=f"strength {strength:g}, {controls} controls, {most} answers",
        )
    contrast = choose_contrast(scored, balance=False, seed=seed)
    classes = {
        "aligned": pick_answers(contrast.aligned, most=most, seed=seed),
        "misaligned": pick_answers(contrast.misaligned, most=most, seed=seed),
    }
    answers = [answer for name in TEXTS for answer in classes[name]]
    groups = [index for index, name in enumerate(TEXTS) for _ in classes[name]]

    def means(model: OpenModel, arm: Arm = PLAIN) -> tuple[list[Tensor], Tensor, list[Tensor]]:
        found = answer_means(
            model,
            conversations_of(model, answers),
            weighting=weighting,
            span=span,
            groups=groups,
            arm=arm,
            batch_tokens=batch_tokens,
            progress=progress,
        )
        return (
            [found.mean_LD(g) for g in range(len(TEXTS))],
            found.norm_L(),
            [found.norm_L(g) for g in range(len(TEXTS))],
        )

    organism, _, _ = means(opened)
    with base_of(opened, base) as plain_model:
        plain, norm_L, base_norms = means(plain_model)
        added = strength * float(norm_L[at])
        factor = added / float(direction.norms_L()[at])
        steered, _, _ = means(plain_model, Arm("steered", (add(direction, at, factor),)))
        random = [
            means(plain_model, Arm(f"random {number}", (add(random_like(direction, number), at, factor),)))[0]
            for number in range(controls)
        ]
    curves = []
    for index, name in enumerate(TEXTS):
        adapter_LD, effect_LD = organism[index] - plain[index], steered[index] - plain[index]
        curves.append(
            DownstreamCurve(
                texts=name,
                n_answers=len(classes[name]),
                cosines=_cosines(adapter_LD, effect_LD, base_norms[index]),
                random=tuple(
                    RandomCosines(
                        number, _cosines(adapter_LD, other[index] - plain[index], base_norms[index])
                    )
                    for number, other in enumerate(random)
                ),
                adapter_norms=tuple(adapter_LD.norm(dim=1).tolist()),
                steered_norms=tuple(effect_LD.norm(dim=1).tolist()),
                base_norms=tuple(base_norms[index].tolist()),
            )
        )
    result = DownstreamResult(
        label=label_of(opened) if label is None else label,
        direction=direction.name,
        layer=at,
        strength=float(strength),
        added_norm=abs(added),
        adapters=adapter_cosines(opened, direction),
        curves=tuple(curves),
    )
    if out is not None:
        write_json(Path(out) / FILE, result.to_json())
    return result


def adapter_cosines(opened: OpenModel, direction: Direction) -> tuple[AdapterCosine, ...]:
    """Every LoRA module that adds to the residual stream against the direction of its layer.

    Those are the attention's output and the MLP's down projection. Modules elsewhere write into another space, where a
    direction of the residual stream means nothing.
    """
    unit_LD = torch.nn.functional.normalize(direction.vectors_LD.double(), dim=1)
    found = []
    for name, lora in opened.sites.lora_modules().items():
        if lora.layer >= opened.sites.n_layers or not writes_residual(name):
            continue
        B_DR = next(lora.lora_B.parameters()).detach().double().cpu()
        # Orthonormal columns of what B can write; a B of zeros writes nothing.
        basis_DR, size_R, _ = torch.linalg.svd(B_DR, full_matrices=False)
        basis_DR = basis_DR[:, size_R > 1e-9 * size_R.max().clamp_min(1e-300)]
        along_R = basis_DR.T @ unit_LD[lora.layer]
        rank = B_DR.shape[1]
        found.append(
            AdapterCosine(
                lora.layer, name, rank, min(1.0, float(along_R.norm())), math.sqrt(min(1.0, rank / len(B_DR)))
            )
        )
    return tuple(found)


def writes_residual(module_name: str) -> bool:
    """Whether a linear module's output is added to the residual stream, up to a norm (Gemma)."""
    return module_name.endswith(("mlp.down_proj", "self_attn.o_proj"))


def _cosines(a_LD: Tensor, b_LD: Tensor, scale_L: Tensor) -> tuple[float | None, ...]:
    """Cosine at each layer; None where one effect is nothing but the rounding of a sum over `scale_L`."""
    found: list[float | None] = []
    for a_D, b_D, scale in zip(a_LD, b_LD, scale_L.tolist(), strict=True):
        one, two = float(a_D.norm()), float(b_D.norm())
        none = min(one, two) <= 1e-12 * scale
        found.append(None if none else max(-1.0, min(1.0, float(a_D @ b_D) / (one * two))))
    return tuple(found)
