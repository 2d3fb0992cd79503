"""What writes into the residual stream, and a direction taken out of all of it by hooks.

The stream is the sum of what its writers add: the embedding, every attention output and every MLP output. D width, L layers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from axenic.errors import DirectionError, ModelError
from axenic.intervene.spec import Intervention
from axenic.models import Sites

WRITERS = ("self_attn.o_proj", "mlp.down_proj")
"""Modules of a block that write into the residual stream, in every family without norms behind them."""


def ablate_writers(sites: Sites, vector_D: Tensor) -> tuple[Intervention, ...]:
    """Take a direction out of everything that is written into the stream; `bake_direction` does the same in the weights.

    Nothing of the direction is left anywhere in the stream. Ablating the outputs of the blocks (`project_out_single`) leaves
    it in two places: behind the embedding, which block 0 reads, and inside each block, where the MLP reads what the attention
    has just written.

    Args:
        sites: Of the model.
        vector_D: The direction, any norm above 0.
    """
    layers = tuple(range(sites.n_layers))
    rows_LD = vector_D.float().expand(len(layers), -1)
    return (
        Intervention("project_out", (-1,), "embed", vector_D.float()[None]),
        Intervention("project_out", layers, "attn_out", rows_LD),
        Intervention("project_out", layers, "mlp_out", rows_LD),
    )


def unit_vector(sites: Sites, vector_D: Tensor) -> Tensor:
    """The vector with norm 1, float64 on the CPU. Raises `DirectionError` where it is no direction of the model."""
    exact = vector_D.detach().double().cpu()
    norm = torch.linalg.vector_norm(exact)
    if exact.shape != (sites.d_model,) or not bool(torch.isfinite(norm)) or not bool(norm > 0):
        raise DirectionError(
            "this is no direction of the model",
            expected=f"one finite vector [{sites.d_model}] of norm above 0",
            found=f"{list(exact.shape)}, norm {float(norm):.3g}",
        )
    unit_D: Tensor = exact / norm
    return unit_D


def check_added_plainly(sites: Sites, what: str) -> None:
    """Refuse blocks with norms between their writers' weights and the stream: a vector of one is none of the other.

    Args:
        sites: Of the model.
        what: What the direction cannot be put into.

    Raises:
        ModelError: Such a block (Gemma).
    """
    family = sites.family
    if (family.attn_out, family.mlp_out) != ("self_attn", "mlp"):
        raise ModelError(
            f"the direction cannot be put into {what} of this architecture",
            where=type(sites.model).__name__,
            expected="attention and MLP outputs that are added as they are",
            found=f"norms behind them ({family.attn_out}, {family.mlp_out})",
            hint="ablate with hooks instead: axenic ablate",
        )
