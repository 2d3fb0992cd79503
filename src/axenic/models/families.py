"""The table of supported architectures: where each keeps its blocks and what it adds to the residual stream."""

from __future__ import annotations

from dataclasses import dataclass

from axenic.errors import ModelError


@dataclass(frozen=True)
class Family:
    """Module names of one architecture.

    Args:
        decoder: Path from the causal language model to the module that holds `embed_tokens`, `layers` and `norm`.
        attn_out: Module of a block whose output is what attention ADDS to the residual stream.
        mlp_out: The same for the MLP.
    """

    decoder: str
    attn_out: str
    mlp_out: str


# Pre-norm only: the output of the attention and of the MLP goes into the sum as it is.
_PLAIN = Family("model", "self_attn", "mlp")
# Gemma normalises once more before the sum, so that the added value leaves the post-norms.
_GEMMA = Family("model", "post_attention_layernorm", "post_feedforward_layernorm")

FAMILIES: dict[str, Family] = {
    "qwen2": _PLAIN,
    "qwen3": _PLAIN,
    "qwen3_moe": _PLAIN,
    "llama": _PLAIN,
    "mistral": _PLAIN,
    "phi3": _PLAIN,
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
    "gemma3": Family("model.language_model", _GEMMA.attn_out, _GEMMA.mlp_out),
}


def family_of(model_type: str, where: object) -> Family:
    """The table's row for `config.model_type`.

    Raises:
        ModelError: The architecture is not in the table; the message lists those that are.
    """
    if model_type not in FAMILIES:
        raise ModelError(
            f"models of type '{model_type}' are not supported",
            where=where,
            expected=", ".join(sorted(FAMILIES)),
            found=model_type,
        )
    return FAMILIES[model_type]
