"""What an adapter read in every module at every token of one prompt, as a frozen value: what `patch_adapter` puts in.

T tokens of the prompt, R rank of a module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from axenic.errors import DataError
from axenic.files import content_id


@dataclass(frozen=True, eq=False)
class PromptScalars:
    """The adapter scalars A h of a prompt (papers.md M2.8), neither scale nor B in them.

    Args:
        modules: `layers.{l}.{module}` -> [T, R], the same T in all; kept as float32 copies on the CPU.

    Raises:
        DataError: No module, shapes that are not of one prompt, or values that are not finite.
    """

    modules: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        lengths = {len(scalars) if scalars.dim() == 2 else -1 for scalars in self.modules.values()}
        if len(lengths) != 1 or min(lengths) < 1:
            raise DataError(
                "these are not the adapter scalars of one prompt",
                expected="one module or more, [tokens, rank] each, the same tokens",
                found={name: list(scalars.shape) for name, scalars in list(self.modules.items())[:4]}
                or "none",
            )
        kept = {}
        for name, scalars in sorted(self.modules.items()):
            bad = scalars.numel() - int(torch.isfinite(scalars).sum())
            if bad:
                raise DataError(
                    "adapter scalars are not finite",
                    where=name,
                    expected="no NaN and no infinity",
                    found=f"{bad:,} of {scalars.numel():,} values",
                )
            # A copy, so that nobody changes the scalars behind the hash.
            kept[name] = scalars.detach().to("cpu", torch.float32, copy=True).contiguous()
        object.__setattr__(self, "modules", kept)

    @property
    def n_tokens(self) -> int:
        """T: only a prompt of so many tokens can take these."""
        return len(next(iter(self.modules.values())))

    @cached_property
    def sha256(self) -> str:
        """Hash of every name, shape and value."""
        return content_id(
            {
                name: [list(scalars.shape), hashlib.sha256(scalars.numpy().tobytes()).hexdigest()]
                for name, scalars in self.modules.items()
            }
        )
