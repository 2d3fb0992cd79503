"""What a model does with its final hidden states: the step from them to the logits.

`Sites.decoder` ends with the final norm; behind it every architecture of `FAMILIES` has `lm_head` (tied to the embedding
or not), and some versions of Gemma a cap on the logits. B rows, T tokens, D width, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from axenic.errors import SelfTestError
from axenic.models.sites import Sites

TOLERANCE = {torch.bfloat16: 3e-2, torch.float16: 4e-3}
"""Of `check_logits`, relative to the largest value; 1e-4 for wider dtypes. The less exact of the two sides decides."""


@dataclass(frozen=True, eq=False)
class Head:
    """The head of a causal language model, without gradients.

    Args:
        module: The output embedding, wrapped in an adapter or not.
        softcap: c of c·tanh(logits / c); None without a cap.
    """

    module: nn.Module
    softcap: float | None

    @classmethod
    def of(cls, sites: Sites) -> Self:
        """The model's own. The cap stands where the model looks for it: Gemma 3 with a vision tower has none, whatever
        the configuration of its text model says.
        """
        config: Any = sites.model.config
        return cls(sites.model.get_submodule("lm_head"), config.to_dict().get("final_logit_softcapping"))

    @property
    def weight(self) -> nn.Parameter:
        """`[V, D]`."""
        return next(self.module.parameters())

    @torch.no_grad()
    def __call__(self, h_BTD: Tensor) -> Tensor:
        """Logits `[..., V]`, on the head's device."""
        logits_BTV: Tensor = self.module(h_BTD.to(self.weight.device))
        if self.softcap is not None:
            # In place: a second tensor of the logits' size would be the largest of the pass.
            logits_BTV.div_(self.softcap).tanh_().mul_(self.softcap)
        return logits_BTV


def check_logits(what: str, found: Tensor, own: Tensor, sites: Sites) -> None:
    """Compare logits that were put together from parts with the model's own.

    Args:
        what: Names the parts in the error.
        found: From the parts.
        own: The model's, of the same shape.

    Raises:
        SelfTestError: They differ by more than rounding does.
    """
    close = max(TOLERANCE.get(side.dtype, 1e-4) for side in (found, own))
    worst = float((found.to(own.device) - own).abs().max() / own.abs().max().clamp_min(1e-12))
    if not worst <= close:
        raise SelfTestError(
            f"{what} of this architecture give other logits than the model itself",
            where=type(sites.model).__name__,
            expected=f"equal to {close:g} of the largest",
            found=f"{worst:.2g}",
        )
