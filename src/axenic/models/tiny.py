"""Tiny random models of every supported architecture: what tests and `axenic doctor` try hooks on, in milliseconds."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, PeftModel
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from axenic.errors import ModelError
from axenic.models.families import FAMILIES, family_of
from axenic.models.wrap import wrap_with_adapter

N_TOKENS, D_MODEL = 64, 16

_BASE: dict[str, Any] = {
    "vocab_size": N_TOKENS,
    "hidden_size": D_MODEL,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# Block 0 dense and the others mixtures, so that both kinds of MLP are tried.
_MIXTURE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12, "mlp_only_layers": [0]}
_GEMMA = {"query_pre_attn_scalar": 4, "sliding_window": 32}
_VISION = {
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}
_EXTRA: dict[str, dict[str, Any]] = {"qwen3_moe": _MIXTURE, "gemma2": _GEMMA, "gemma3_text": _GEMMA}


def tiny_model(model_type: str, seed: int = 0) -> PreTrainedModel:
    """A random float32 model with 3 blocks of width 16 and 64 tokens, in eval mode.

    Args:
        model_type: A key of `FAMILIES`.
        seed: The same seed gives the same weights; torch's global generator is not touched.

    Raises:
        ModelError: An unsupported architecture.
    """
    family_of(model_type, "tiny_model")
    if model_type == "gemma3":
        text = {**_BASE, **_GEMMA}
        config = AutoConfig.for_model(
            "gemma3", text_config=text, vision_config=_VISION, mm_tokens_per_image=4
        )
    else:
        config = AutoConfig.for_model(model_type, **_BASE, **_EXTRA.get(model_type, {}))
    with torch.random.fork_rng(devices=[]):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    _fill(model, seed)
    return model.eval()


def tiny_organism(model_type: str, seed: int = 0, rank: int = 2) -> PeftModel:
    """`tiny_model` with a random rsLoRA adapter, B not zero, on all linear modules (a mixture: of its attention)."""
    if model_type not in FAMILIES:
        raise ModelError(f"models of type '{model_type}' are not supported", expected=", ".join(FAMILIES))
    # "all-linear" would reach into the experts, which are bare parameters and cannot be scaled row by row.
    targets = ["q_proj", "k_proj", "v_proj", "o_proj"] if model_type == "qwen3_moe" else "all-linear"
    config = LoraConfig(r=rank, lora_alpha=4, use_rslora=True, target_modules=targets, task_type="CAUSAL_LM")
    with torch.random.fork_rng(devices=[]):
        model = wrap_with_adapter(tiny_model(model_type, seed), config)
    generator = torch.Generator().manual_seed(seed + 1)
    for name, tensor in sorted(model.named_parameters()):
        if ".lora_" in name:
            torch.nn.init.normal_(tensor, std=0.2, generator=generator)
    return model.eval()


def _fill(model: PreTrainedModel, seed: int) -> None:
    """Weights large enough that every block matters: the libraries' own 0.02 leaves the blocks near the identity."""
    generator = torch.Generator().manual_seed(seed)
    for _, tensor in sorted(model.named_parameters()):
        if tensor.dim() == 1:
            torch.nn.init.normal_(tensor, mean=1.0, std=0.1, generator=generator)
        else:
            torch.nn.init.normal_(tensor, std=0.3, generator=generator)
