"""What is left of a direction in the residual stream: how well an ablation holds in the dtype that the model runs in.

L layers, T tokens, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from axenic.errors import UsageError
from axenic.intervene.writers import unit_vector
from axenic.models import Site, Sites, site_tensor


@dataclass(frozen=True)
class Leftover:
    """Share of the stream along a direction, |h·v| / ‖h‖ with v of norm 1: 0 nothing, 1 all of it.

    Attributes:
        outputs: L + 1 means over tokens: behind the embedding, then behind every block.
        inside: L means over tokens: inside every block, between its attention and its MLP.
        worst: Largest share of any token at any of these places.
        tokens: How many tokens were looked at.
    """

    outputs: tuple[float, ...]
    inside: tuple[float, ...]
    worst: float
    tokens: int

    @property
    def mean(self) -> float:
        """Over all places and tokens."""
        return math.fsum((*self.outputs, *self.inside)) / (len(self.outputs) + len(self.inside))

    def to_json(self) -> dict[str, Any]:
        """All fields and the mean."""
        return {
            "mean": self.mean,
            "worst": self.worst,
            "outputs": list(self.outputs),
            "inside": list(self.inside),
            "tokens": self.tokens,
        }


@torch.no_grad()
def stream_leftover(sites: Sites, prompts: Sequence[Sequence[int]], vector_D: Tensor) -> Leftover:
    """Run prompts and look at the stream as it is, hooks of an enclosing `InterventionHooks` included.

    Shares are computed in float64 from the activations in the model's dtype. No ablation, by hooks, weights or adapter, leaves
    exactly nothing: every sum of the stream is rounded. Measured on the nano model: 1e-8 to 2e-8 in float32, 2e-4 to 4e-4 in
    bfloat16, where a random direction has 0.09 (`tests/cli/test_bake.py`).

    Args:
        sites: Of the model.
        prompts: Token ids, one forward pass each.
        vector_D: The direction, any norm above 0.

    Raises:
        DirectionError: No direction of the model.
        UsageError: No prompt, or an empty one.
    """
    if not prompts or not all(prompts):
        raise UsageError(
            "there is nothing to look at the stream on", expected="prompts of one token or more, at least one"
        )
    unit_D = unit_vector(sites, vector_D)
    seen: dict[tuple[str, int], Tensor] = {}

    def keep(key: tuple[str, int], _module: Any, _args: Any, output: Any) -> None:
        seen[key] = site_tensor(output)[0].detach().cpu().double()

    places: list[tuple[Site, int]] = [("embed", -1)]
    for layer in range(sites.n_layers):
        places += [("attn_out", layer), ("resid_post", layer)]
    handles = [
        sites.module(site, layer).register_forward_hook(partial(keep, (site, layer)))
        for site, layer in places
    ]
    shares: list[list[Tensor]] = [[] for _ in range(2 * sites.n_layers + 1)]
    device = next(sites.model.parameters()).device
    try:
        for prompt in prompts:
            sites.model(input_ids=torch.tensor([list(prompt)], device=device), use_cache=False)
            stream_TD = seen["embed", -1]
            stages = [stream_TD]
            for layer in range(sites.n_layers):
                # What the MLP reads: the stream before the block and what its attention added.
                stages.append(stream_TD + seen["attn_out", layer])
                stream_TD = seen["resid_post", layer]
                stages.append(stream_TD)
            for found, h_TD in zip(shares, stages, strict=True):
                found.append((h_TD @ unit_D).abs() / torch.linalg.vector_norm(h_TD, dim=1))
    finally:
        for handle in handles:
            handle.remove()
    share_PT = torch.stack([torch.cat(found) for found in shares])
    means = share_PT.mean(1).tolist()
    return Leftover(tuple(means[::2]), tuple(means[1::2]), float(share_PT.max()), share_PT.shape[1])
