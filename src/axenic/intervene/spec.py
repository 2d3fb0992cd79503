"""The intervention: one operation on a model's activations, as a frozen value with a content id.

L layers, D width. Layer l is the output of decoder block l, 0-based. `hooks.py` carries it out.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from axenic.errors import DirectionError, UsageError
from axenic.files import content_id
from axenic.intervene.factors import AdapterFactors
from axenic.intervene.promptscalars import PromptScalars
from axenic.models import Site

Op = Literal["add", "project_out", "clamp", "scale_adapter", "swap_adapter", "patch_adapter"]
Positions = Literal["all", "prompt", "answer"]
_SITES = get_args(Site)
_ON_ADAPTER = ("scale_adapter", "swap_adapter", "patch_adapter")
_WHOLE = ("swap_adapter", "patch_adapter")


@dataclass(frozen=True, eq=False)
class Intervention:
    """One operation on the activations h [B, T, D] of a site at some layers; u is the vector scaled to norm 1.

    Args:
        op: `add`: h + strength·v. `project_out`: h − strength·(h·u)u, so strength 1 removes the direction.
            `clamp`: h + (strength − h·u)u, which sets the coordinate along u. `scale_adapter`: what the LoRA
            adapter adds to its modules is multiplied by strength; 0 is the base model. `swap_adapter`: the modules of
            the loaded adapter have the factors of `adapter` instead, B times strength; its alpha / rank stays.
            `patch_adapter`: what A reads at the tokens of the prompt, s = A h, becomes s + strength·(s' - s) with the
            scalars s' of another prompt; the answer's tokens read what they read.
        layers: 0-based; (-1,) for site `embed`. None means every layer, for the adapter operations only (it then
            includes an adapter on `lm_head`); `swap_adapter` and `patch_adapter` take nothing else.
        site: Where h is read and written; ignored by the adapter operations, which work inside the modules.
        vectors_LD: One row per entry of `layers`, finite; kept as a float32 copy on the CPU. None for the adapter
            operations.
        strength: In the units given under `op`.
        positions: `all` tokens, those of the `prompt`, or those of the `answer`; `patch_adapter` is for the prompt.
        adapter: For `swap_adapter` only.
        scalars: For `patch_adapter` only; of the modules that are patched, and of a prompt with as many tokens.

    Raises:
        UsageError: An unknown op, site or position; layers repeated, lacking or impossible; a strength not finite; an
            adapter or scalars lacking or too many; a patch that is not for the prompt.
        DirectionError: Vectors of a wrong shape, not finite, or zero where a unit vector is needed.
    """

    op: Op
    layers: tuple[int, ...] | None
    site: Site = "resid_post"
    vectors_LD: Tensor | None = None
    strength: float = 1.0
    positions: Positions = "all"
    adapter: AdapterFactors | None = None
    scalars: PromptScalars | None = None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("op", self.op, get_args(Op)),
            ("site", self.site, _SITES),
            ("positions", self.positions, get_args(Positions)),
        ):
            if value not in known:
                raise UsageError(f"there is no {name} '{value}'", expected=", ".join(known), found=value)
        object.__setattr__(self, "strength", float(self.strength))
        if not math.isfinite(self.strength):
            raise UsageError("a strength must be finite", where=self.op, found=self.strength)
        if self.layers is not None:
            object.__setattr__(self, "layers", tuple(int(layer) for layer in self.layers))
        self._check_layers()
        self._check_adapter()
        self._check_vectors()

    @cached_property
    def id(self) -> str:
        """Hash of everything above; of the vectors by their bytes."""
        return content_id(self.to_json())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Intervention) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def to_json(self) -> dict[str, Any]:
        """The facts as JSON values; vectors and factors by SHA-256."""
        facts: dict[str, Any] = {
            "op": self.op,
            "layers": None if self.layers is None else list(self.layers),
            "strength": self.strength,
            "positions": self.positions,
        }
        if self.vectors_LD is not None:
            facts["site"] = self.site
            facts["vectors"] = {
                "shape": list(self.vectors_LD.shape),
                "sha256": hashlib.sha256(self.vectors_LD.numpy().tobytes()).hexdigest(),
            }
        if self.adapter is not None:
            facts["adapter"] = {"modules": len(self.adapter.modules), "sha256": self.adapter.sha256}
        if self.scalars is not None:
            facts["scalars"] = {
                "modules": len(self.scalars.modules),
                "tokens": self.scalars.n_tokens,
                "sha256": self.scalars.sha256,
            }
        return facts

    def _check_layers(self) -> None:
        if self.layers is None:
            if self.op not in _ON_ADAPTER:
                raise UsageError(f"{self.op} needs its layers", expected="one layer per vector", found="none")
            return
        lowest = -1 if self.site == "embed" else 0
        if not self.layers or len(set(self.layers)) != len(self.layers) or min(self.layers) < lowest:
            raise UsageError(
                f"{self.op} cannot be done at these layers",
                where=f"site {self.site}",
                expected=f"at least one layer, each once, from {lowest} up",
                found=list(self.layers),
                hint="site='embed' for layer -1" if -1 in self.layers else None,
            )

    def _check_adapter(self) -> None:
        if (self.adapter is not None) != (self.op == "swap_adapter"):
            raise UsageError(
                f"{self.op} needs an adapter's factors"
                if self.adapter is None
                else f"{self.op} takes no adapter",
                expected="AdapterFactors with swap_adapter, and with nothing else",
            )
        if (self.scalars is not None) != (self.op == "patch_adapter"):
            raise UsageError(
                f"{self.op} needs scalars" if self.scalars is None else f"{self.op} takes no scalars",
                expected="PromptScalars with patch_adapter, and with nothing else",
            )
        if self.op == "patch_adapter" and self.positions != "prompt":
            raise UsageError(
                "scalars of a prompt are put into a prompt",
                expected="positions='prompt'",
                found=self.positions,
            )
        if self.op in _WHOLE and self.layers is not None:
            raise UsageError(
                "an adapter is swapped whole: of a part, the rest would stay that of another step"
                if self.op == "swap_adapter"
                else "the scalars say which modules are patched",
                expected="layers=None",
                found=list(self.layers),
            )

    def _check_vectors(self) -> None:
        if self.op in _ON_ADAPTER:
            if self.vectors_LD is not None:
                raise UsageError(f"{self.op} takes no vectors", found=list(self.vectors_LD.shape))
            return
        assert self.layers is not None
        if self.vectors_LD is None or self.vectors_LD.dim() != 2 or len(self.vectors_LD) != len(self.layers):
            raise DirectionError(
                f"{self.op} needs one vector per layer",
                expected=f"[{len(self.layers)}, hidden size]",
                found="none" if self.vectors_LD is None else list(self.vectors_LD.shape),
            )
        # A copy, so that nobody changes the vectors behind the id.
        vectors_LD = self.vectors_LD.detach().to("cpu", torch.float32, copy=True).contiguous()
        object.__setattr__(self, "vectors_LD", vectors_LD)
        for layer, vector_D in zip(self.layers, vectors_LD, strict=True):
            bad = vectors_LD.shape[1] - int(torch.isfinite(vector_D).sum())
            if bad or (self.op != "add" and not bool(vector_D.any())):
                raise DirectionError(
                    f"{self.op} cannot use its vector",
                    where=f"layer {layer}",
                    expected="finite values" if bad else "a vector that is not zero",
                    found=f"{bad} of {len(vector_D)} values not finite" if bad else "zero",
                )
