"""What an adapter would say: the tokens that its B vector promotes, read through the model's own head (logit lens)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from axenic.errors import UsageError
from axenic.interpret.downstream import writes_residual
from axenic.models import OpenModel


@dataclass(frozen=True)
class AdapterLens:
    """One column of one B.

    Attributes:
        layer, module, component: Which.
        positive: Tokens promoted most where the scalar A h is positive, the most first; (token, logit) pairs. Logits are of
            a residual stream that is this vector alone, after the final norm.
        negative: The same where the scalar is negative.
    """

    layer: int
    module: str
    component: int
    positive: tuple[tuple[str, float], ...]
    negative: tuple[tuple[str, float], ...]


@torch.no_grad()
def adapter_lens(opened: OpenModel, *, top: int = 10) -> list[AdapterLens]:
    """Top tokens of every B column that is added to the residual stream; adapters elsewhere have no such reading.

    What later layers make of the vector is left out, so a late adapter is told better than an early one.

    Raises:
        UsageError: Fewer than one token asked for.
        ModelError: An adapter that is no sum of B(A(x)).
    """
    if top < 1:
        raise UsageError("no tokens were asked for", expected="top of 1 or more", found=top)
    head = opened.sites.model.get_submodule("lm_head")
    found = []
    for name, lora in opened.sites.lora_modules().items():
        if lora.layer >= opened.sites.n_layers or not writes_residual(name):
            continue
        B_DR = next(lora.lora_B.parameters()).detach()
        for component, column_D in enumerate(B_DR.T.to(opened.dtype)):
            sides = []
            for sign in (1.0, -1.0):
                # Bounded by the tokenizer: embeddings are often padded with rows that are no token.
                logits_V = head(opened.sites.final_norm(sign * column_D)).float()[: len(opened.tokenizer)]
                values, ids = logits_V.topk(min(top, len(logits_V)))
                texts = [str(opened.tokenizer.decode([token])) for token in ids.tolist()]
                sides.append(tuple(zip(texts, values.tolist(), strict=True)))
            found.append(AdapterLens(lora.layer, name, component, sides[0], sides[1]))
    return found
