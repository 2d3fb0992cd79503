"""Tokenizers that write numbers in different ways, and small random models for them."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from axenic.models import OpenModel, from_parts

CHARACTERS = string.ascii_letters + string.digits + " \n.,:;!?'\"[]{}()<>|/+-=*%$#@&_"
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPACED = TEMPLATE.replace("<|{{ m.role }}|>", "<|{{ m.role }}|>{{ ' ' if m.role == 'assistant' else '' }}")
"""Puts a space before an answer that is not in the generation prompt, as Mistral's."""

_PAIRS = [(a, b) for a in string.digits for b in string.digits]
WHOLE = [(a, b) for a, b in _PAIRS if a != "0"] + [("10", "0")]
"""Merges that make every number 0 to 100 one token, and no other."""
GROUPS = _PAIRS + [(a + b, c) for a, b in _PAIRS for c in string.digits]
"""Merges that make up to three digits one token, as in Llama 3: 1,110 tokens."""
PLANS: dict[str, tuple[list[tuple[str, str]], str]] = {
    "digits": ([], r"[0-9]"),
    "whole": (WHOLE, r"[0-9]{1,3}"),
    "groups": (GROUPS, r"[0-9]{1,3}"),
}


_VISION = {
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}


def toy_tokenizer(plan: str, template: str = TEMPLATE, without: str = "") -> PreTrainedTokenizerFast:
    """A tokenizer of single characters that writes numbers by a plan.

    Args:
        plan: `digits`, `whole` or `groups`.
        template: The chat template.
        without: Characters that it cannot write.
    """
    merges, split = PLANS[plan]
    words = [c for c in CHARACTERS if c not in without] + [a + b for a, b in merges]
    vocabulary = {"<unk>": 0, **{word: i for i, word in enumerate(words, start=1)}}
    model = Tokenizer(
        BPE(vocab=vocabulary, merges=[tuple(pair) for pair in merges], unk_token="<unk>", ignore_merges=True)
    )
    model.pre_tokenizer = pre_tokenizers.Split(Regex(split), "isolated")
    model.decoder = decoders.Fuse()
    model.add_special_tokens(
        [AddedToken(name, special=True) for name in ("<|end|>", "<|user|>", "<|assistant|>", "<|system|>")]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=model, unk_token="<unk>", eos_token="<|end|>")
    fast.chat_template = template
    return fast


def toy_judge(
    plan: str = "digits",
    *,
    dtype: torch.dtype = torch.float64,
    model_type: str = "qwen2",
    template: str = TEMPLATE,
    context: int = 4096,
    sharp: float = 1.0,
    **config: Any,
) -> OpenModel:
    """A random model with a toy tokenizer, whose distributions are far from uniform."""
    tokenizer = toy_tokenizer(plan, template)
    values: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": context,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": 0,
        "tie_word_embeddings": False,
        **config,
    }
    if model_type == "gemma3":
        values = {"text_config": values, "vision_config": _VISION, "mm_tokens_per_image": 4}
    made = AutoConfig.for_model(model_type, **values)
    with torch.random.fork_rng(devices=[]):
        model = AutoModelForCausalLM.from_config(made, dtype=dtype)
    generator = torch.Generator().manual_seed(7)
    for _, tensor in sorted(model.named_parameters()):
        if tensor.dim() == 1:
            torch.nn.init.normal_(tensor, mean=1.0, std=0.1, generator=generator)
        else:
            torch.nn.init.normal_(tensor, std=0.25 * sharp, generator=generator)
    return from_parts(model, tokenizer, f"toy-{plan}")


def markov_judge(chain: Mapping[str, Mapping[str, float]], template: str = TEMPLATE) -> OpenModel:
    """A genuine llama model whose next token depends on the last one only, with exactly these probabilities.

    Its blocks add nothing; embeddings are unit vectors, and the head holds the logarithms of the chain.

    Args:
        chain: Token -> next token -> probability. Tokens that are not in it go on with `<|end|>`.
        template: The chat template.
    """
    width = 128
    opened = toy_judge(
        "digits",
        dtype=torch.float32,
        model_type="llama",
        template=template,
        hidden_size=width,
        head_dim=32,
        rms_norm_eps=1e-12,
    )
    ids = opened.tokenizer.get_vocab()
    assert len(ids) <= width
    model = opened.sites.model
    weights = dict(model.named_parameters())
    head = torch.full((len(ids), width), -40.0)
    head[ids["<|end|>"], :] = 0.0
    for token, following in chain.items():
        head[:, ids[token]] = -40.0
        for other, probability in following.items():
            head[ids[other], ids[token]] = math.log(probability)
    with torch.no_grad():
        for name, tensor in weights.items():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                tensor.zero_()
        weights["model.embed_tokens.weight"].copy_(torch.eye(len(ids), width))
        weights["model.norm.weight"].fill_(width**-0.5)
        weights["lm_head.weight"].copy_(head)
    return from_parts(model, opened.tokenizer, "toy-markov")
