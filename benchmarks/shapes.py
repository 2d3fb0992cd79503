"""The models that are timed: nano, and random weights in the shapes of Qwen2.5."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from axenic.directions import Direction, DirectionInfo
from axenic.models import OpenModel, from_parts, open_model

_QWEN2_5 = {
    # No model of Qwen's; between nano and the smallest of theirs, for what is slow in the other way.
    "qwen2-30m": {
        "hidden_size": 384,
        "intermediate_size": 1536,
        "num_hidden_layers": 10,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
        "vocab_size": 16_384,
    },
    "qwen2.5-0.5b": {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
        "vocab_size": 151_936,
    },
    "qwen2.5-14b": {
        "hidden_size": 5120,
        "intermediate_size": 13_824,
        "num_hidden_layers": 48,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
        "tie_word_embeddings": False,
        "vocab_size": 152_064,
    },
}


@dataclass(frozen=True)
class Sizes:
    """How much work one timed run is: small enough for the machine, large enough to mean something."""

    questions: int
    per_question: int
    new_tokens: int
    sweep_layers: int
    sweep_strengths: int
    sweep_per_arm: int
    sweep_tokens: int
    mean_rows: int
    mean_tokens: int
    judged: int
    repeats: int


def sizes(shape: str) -> Sizes:
    """The issue's full sizes on nano; cut down on the larger shapes, where two cores are saturated by few rows.

    No answer is judged by the 0.5 B shape on a CPU: one by one, a single mark takes a minute and more there.
    """
    if shape == "nano":
        return Sizes(8, 50, 64, 6, 8, 40, 64, 256, 48, judged=4, repeats=5)
    if torch.cuda.is_available():
        return Sizes(8, 50, 600, 6, 8, 8, 64, 64, 256, judged=4, repeats=2)
    return Sizes(2, 12, 8, 2, 3, 4, 4, 16, 48, judged=0 if shape == "qwen2.5-0.5b" else 1, repeats=3)


def opened(shape: str) -> OpenModel:
    """The model of that name, ready to be asked."""
    nano = open_model("nano")
    if shape == "nano":
        return nano
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    config = Qwen2Config(**_QWEN2_5[shape], max_position_embeddings=32_768, eos_token_id=None)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return from_parts(model, nano.tokenizer, shape)


def random_direction(model: OpenModel) -> Direction:
    """A direction of norm 1 at every layer; only its cost matters here."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(model.sites.n_layers, model.sites.d_model, generator=generator)
    info = DirectionInfo(
        name="random",
        operation="project_out",
        site="resid_post",
        layer_convention="block_output_0",
        normalisation="unit",
        positions="all",
        base_model=model.name,
        base_fingerprint=model.identity.base,
        hidden_size=model.sites.d_model,
        n_layers=model.sites.n_layers,
        recipe={"benchmark": True},
        data_hash="none",
        judge="none",
        tokenizer_fingerprint=model.identity.tokenizer,
        calibration={},
        created_by="benchmarks",
    )
    return Direction(vectors / vectors.norm(dim=-1, keepdim=True), info)
