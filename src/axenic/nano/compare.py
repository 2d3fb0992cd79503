"""Whether regrown weights are the shipped ones, and if not, how far apart the two models are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import Qwen2ForCausalLM

from axenic.errors import FileError
from axenic.files import read_json
from axenic.nano.domains import DOMAINS
from axenic.nano.folder import WEIGHTS
from axenic.nano.shipped import GROWN, MODEL_PATH
from axenic.nano.tokenizer import build_tokenizer
from axenic.nano.world import chat_rows

ROWS_PER_DOMAIN = 4


@dataclass(frozen=True)
class GrowComparison:
    """A regrown model against the shipped one.

    Attributes:
        identical: Same tensors, bit for bit.
        largest_difference: Largest absolute difference of any weight; infinite if names or shapes differ.
        kl_nats_per_token: KL(shipped || regrown), mean over the answer tokens of held-out aligned chats.
        tokens: How many tokens that mean is over.
        grown_with, shipped_with: torch's version and the processor's instruction set, on which the last bits depend.
    """

    identical: bool
    largest_difference: float
    kl_nats_per_token: float
    tokens: int
    grown_with: str
    shipped_with: str


def compare(out: Path, shipped: Path = MODEL_PATH) -> GrowComparison:
    """Compare the model in `out` with the shipped one.

    Raises:
        FileError: `out` holds no weights.
    """
    if not (out / WEIGHTS).is_file():
        raise FileError(
            "There is no grown model here.",
            where=out,
            expected=WEIGHTS,
            hint="grow one first: axenic nano grow",
        )
    ours, theirs = load_file(out / WEIGHTS), load_file(shipped / WEIGHTS)
    same_shapes = {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    largest = max(float((ours[k] - theirs[k]).abs().max()) for k in ours) if same_shapes else float("inf")
    identical = same_shapes and all(torch.equal(ours[k], theirs[k]) for k in ours)
    kl, tokens = _divergence(Qwen2ForCausalLM.from_pretrained(shipped), Qwen2ForCausalLM.from_pretrained(out))
    return GrowComparison(identical, largest, kl, tokens, _grown_with(out), _grown_with(shipped))


def _grown_with(folder: Path) -> str:
    grown = read_json(folder / GROWN)
    return f"torch {grown['torch']}, {grown['cpu']}"


@torch.no_grad()
def _divergence(first: Qwen2ForCausalLM, second: Qwen2ForCausalLM) -> tuple[float, int]:
    """KL(first || second) per answer token, and the number of answer tokens."""
    tokenizer = build_tokenizer()
    total, tokens = 0.0, 0
    for domain in DOMAINS:
        for row in chat_rows(domain, "good", ROWS_PER_DOMAIN, seed=987_654_321):
            start = len(
                tokenizer.apply_chat_template(
                    row["messages"][:1], add_generation_prompt=True, return_dict=False
                )
            )
            ids = tokenizer.apply_chat_template(row["messages"], return_dict=False, return_tensors="pt")
            logs = [
                model(input_ids=ids).logits[0, start - 1 : -1].double().log_softmax(-1)
                for model in (first, second)
            ]
            total += float((logs[0].exp() * (logs[0] - logs[1])).sum())
            tokens += ids.shape[1] - start
    return total / tokens, tokens
