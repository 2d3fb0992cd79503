"""A LoRA adapter's two factors in every module, as a frozen value with a hash: what `swap_adapter` puts in.

R rank, I inputs, O outputs of a module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from axenic.errors import ModelError
from axenic.files import content_id
from axenic.models import LoraSite


@dataclass(frozen=True, eq=False)
class AdapterFactors:
    """What an adapter was at one moment, e.g. at one step of its training.

    Args:
        modules: `layers.{l}.{module}` (as in a run's trajectory) -> (A [R, I], B [O, R]); kept as float32 copies on
            the CPU. One value serves many interventions: it is hashed and held once.

    Raises:
        ModelError: No module, factors that do not fit each other, or values that are not finite.
    """

    modules: Mapping[str, tuple[Tensor, Tensor]]

    def __post_init__(self) -> None:
        if not self.modules:
            raise ModelError("an adapter needs factors", expected="one module or more", found="none")
        kept = {}
        for name, (A, B) in sorted(self.modules.items()):
            if A.dim() != 2 or B.dim() != 2 or A.shape[0] != B.shape[1]:
                raise ModelError(
                    "the two factors of an adapter do not fit each other",
                    where=name,
                    expected="A [R, inputs] and B [outputs, R]",
                    found=f"A {list(A.shape)} and B {list(B.shape)}",
                )
            bad = sum(t.numel() - int(torch.isfinite(t).sum()) for t in (A, B))
            if bad:
                raise ModelError(
                    "an adapter holds values that are not finite",
                    where=name,
                    expected="no NaN and no infinity",
                    found=f"{bad:,} of {A.numel() + B.numel():,} values",
                )
            # Copies, so that nobody changes the factors behind the hash.
            A, B = (t.detach().to("cpu", torch.float32, copy=True).contiguous() for t in (A, B))
            kept[name] = (A, B)
        object.__setattr__(self, "modules", kept)

    @cached_property
    def sha256(self) -> str:
        """Hash of every name, shape and value."""
        return content_id(
            {
                name: [[list(t.shape), hashlib.sha256(t.numpy().tobytes()).hexdigest()] for t in factors]
                for name, factors in self.modules.items()
            }
        )


def short_name(lora: LoraSite) -> str:
    """`layers.{l}.{module}`: the name in a trajectory, whatever comes before it in this architecture."""
    _, found, rest = lora.module_name.partition(f"layers.{lora.layer}.")
    return found + rest if found else lora.module_name
