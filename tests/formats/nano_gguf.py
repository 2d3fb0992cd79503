"""The nano model as a GGUF model file, without a tokenizer: what llama.cpp needs to run it on token ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf

from axenic.models import OpenModel

NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
OUTSIDE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}


def write_nano_gguf(opened: OpenModel, path: Path) -> None:
    """Write a plain Qwen2 model with a tied head, float32."""
    config: Any = opened.sites.model.config
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("none")
    for name, tensor in opened.sites.model.state_dict().items():
        if name == "lm_head.weight":
            continue
        if name in OUTSIDE:
            there = OUTSIDE[name]
        else:
            block, _, rest = name.removeprefix("model.layers.").partition(".")
            module, _, kind = rest.rpartition(".")
            there = f"blk.{block}.{NAMES[module]}.{kind}"
        writer.add_tensor(there, tensor.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
