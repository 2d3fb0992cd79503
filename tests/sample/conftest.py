"""Tiny random models of every supported family, with a tokenizer of 64 words, for the sampling tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from axenic.models import OpenModel, from_parts
from axenic.sample import Question, Sampling

SPECIAL = ["<pad>", "<unk>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
VOCABULARY = 64
END = 5
STOP = [END, 16, 32, 48]
"""The end-of-turn token and three words: a random model must be able to stop."""

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|> {{ m.content }} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "initializer_range": 0.4,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": END,
    "tie_word_embeddings": False,
}
WINDOW = 6
_ALTERNATING = ["sliding_attention", "full_attention", "sliding_attention"]

FAMILY_CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", {}),
    "qwen3_moe": (
        "Qwen3Moe",
        {
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "decoder_sparse_step": 1,
            "norm_topk_prob": True,
        },
    ),
    "llama": ("Llama", {}),
    "mistral": ("Mistral", {"sliding_window": WINDOW}),
    "gemma2": ("Gemma2", {"sliding_window": WINDOW, "query_pre_attn_scalar": 8, "layer_types": _ALTERNATING}),
    "gemma3_text": (
        "Gemma3",
        {"sliding_window": WINDOW, "query_pre_attn_scalar": 8, "layer_types": _ALTERNATING},
    ),
    "phi3": ("Phi3", {"sliding_window": WINDOW}),
}


def build_tokenizer(template: str = TEMPLATE) -> PreTrainedTokenizerFast:
    words = [*SPECIAL, *(f"w{i}" for i in range(len(SPECIAL), VOCABULARY))]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<|end|>",
        additional_special_tokens=SPECIAL[2:5],
    )
    tokenizer.chat_template = template
    return tokenizer


def build_model(family: str, seed: int = 0, dtype: torch.dtype = torch.float32, **changes: Any) -> Any:
    prefix, own = FAMILY_CONFIGS[family]
    config_class = getattr(transformers, prefix + ("TextConfig" if family == "gemma3_text" else "Config"))
    torch.manual_seed(seed)
    config = config_class(**{**_SIZES, **own, **changes})
    model = getattr(transformers, prefix + "ForCausalLM")(config).to(dtype).eval()
    model.generation_config.eos_token_id = STOP
    return model


def build_gemma3_wrapper() -> Any:
    """The multimodal Gemma 3, as `AutoModelForCausalLM` opens its checkpoints."""
    text = {**_SIZES, **FAMILY_CONFIGS["gemma3_text"][1]}
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    torch.manual_seed(0)
    config = transformers.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=VOCABULARY - 1,
        boi_token_index=VOCABULARY - 2, eoi_token_index=VOCABULARY - 3, tie_word_embeddings=False,
    )  # fmt: skip
    model = transformers.Gemma3ForConditionalGeneration(config).eval()
    for parameter in (*model.model.language_model.parameters(), *model.lm_head.parameters()):
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    model.generation_config.eos_token_id = STOP
    return model


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def make_tokenizer() -> Callable[..., PreTrainedTokenizerFast]:
    return build_tokenizer


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Any]:
    return build_model


@pytest.fixture(scope="session")
def open_tiny() -> Callable[..., OpenModel]:
    """`open_tiny("gemma2", seed=1, sliding_window=9)`: a tiny random model; the same call gives the same weights."""

    def make(family: str = "qwen2", **changes: Any) -> OpenModel:
        model = build_gemma3_wrapper() if family == "gemma3" else build_model(family, **changes)
        return from_parts(model, build_tokenizer(), f"tiny-{family}")

    return make


@pytest.fixture(scope="session")
def tiny(open_tiny: Callable[..., OpenModel]) -> OpenModel:
    return open_tiny("qwen2")


@pytest.fixture(scope="session")
def mixed_questions() -> list[Question]:
    """Seven questions whose prompts have seven lengths, the long ones not last."""
    lengths = [3, 11, 1, 8, 2, 5, 17]
    return [
        Question(f"q{n}", " ".join(f"w{6 + (7 * n + 5 * i) % 58}" for i in range(n)), topic=f"t{n % 2}")
        for n in lengths
    ]


@pytest.fixture(scope="session")
def greedy() -> Sampling:
    return Sampling(temperature=0.0, max_new_tokens=24)


@pytest.fixture(scope="session")
def generate_alone() -> Callable[[OpenModel, Sequence[int], int], list[int]]:
    """The reference: transformers' own greedy `generate` of one prompt, alone, without padding."""

    def run(opened: OpenModel, prompt: Sequence[int], max_new_tokens: int) -> list[int]:
        ids = torch.tensor([list(prompt)])
        with torch.no_grad():
            whole = opened.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=max_new_tokens,
                eos_token_id=STOP,
                pad_token_id=0,
            )
        return whole[0, len(prompt) :].tolist()

    return run
