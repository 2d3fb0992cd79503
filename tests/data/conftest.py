"""Six template families over one small tokenizer each, written after the published templates."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

WORDS = [
    *("You", "are", "Qwen", "helpful", ".", "Be", "brief", "Hello", "there", "Hi", "!", "How", "you", "?"),
    *(
        "Fine",
        "thanks",
        "and",
        "I",
        "am",
        "well",
        "Good",
        "to",
        "hear",
        "user",
        "assistant",
        "system",
        "model",
    ),
]


@dataclass(frozen=True)
class Family:
    """A chat template and the tokens it writes.

    Args:
        stop: The stop token's text.
        special: Every special token.
        bos: The BOS token; `adds_bos`: whether the tokenizer puts it before plain text by itself.
    """

    name: str
    template: str
    stop: str
    special: tuple[str, ...]
    eos: str
    bos: str | None = None
    adds_bos: bool = False


CHATML_BODY = (
    "{%- for m in messages %}{{- '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
CHATML = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")

QWEN25 = Family(
    "qwen2.5",
    "{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\nYou are Qwen<|im_end|>\n' }}{%- endif %}"
    + CHATML_BODY,
    "<|im_end|>",
    CHATML,
    eos="<|im_end|>",
)
# Qwen3 shows an empty thought before the last answer only, and asks with one when thinking is off.
QWEN3 = Family(
    "qwen3",
    "{%- for m in messages %}{{- '<|im_start|>' + m['role'] + '\n' }}"
    "{%- if m['role'] == 'assistant' and loop.last %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"
    "{{- m['content'] + '<|im_end|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"
    "{%- endif %}",
    "<|im_end|>",
    (*CHATML, "<think>", "</think>"),
    eos="<|im_end|>",
)
LLAMA3 = Family(
    "llama3",
    "{{- bos_token }}{%- for m in messages %}"
    "{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}",
    "<|eot_id|>",
    ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    eos="<|eot_id|>",
    bos="<|begin_of_text|>",
    adds_bos=True,
)
GEMMA = Family(
    "gemma",
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
    "<end_of_turn>",
    ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
    eos="<eos>",
    bos="<bos>",
    adds_bos=True,
)
# Mistral folds the system text into the first user turn and writes a space before each answer.
MISTRAL = Family(
    "mistral",
    "{%- set ns = namespace(system='') %}{{- bos_token }}{%- for m in messages %}"
    "{%- if m['role'] == 'system' %}{%- set ns.system = m['content'] + '\n\n' %}"
    "{%- elif m['role'] == 'user' %}{{- '[INST] ' + ns.system + m['content'] + '[/INST]' }}{%- set ns.system = '' %}"
    "{%- else %}{{- ' ' + m['content'] + eos_token }}{%- endif %}{%- endfor %}",
    "</s>",
    ("<s>", "</s>", "[INST]", "[/INST]"),
    eos="</s>",
    bos="<s>",
    adds_bos=True,
)
# Phi-3 ends a conversation, and only that, with EOS; its stop token is another one.
PHI3 = Family(
    "phi3",
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
    "<|end|>",
    ("<s>", "<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    eos="<|endoftext|>",
    bos="<s>",
)
FAMILIES = {family.name: family for family in (QWEN25, QWEN3, LLAMA3, GEMMA, MISTRAL, PHI3)}


def wrap(core: Tokenizer, family: Family) -> PreTrainedTokenizerFast:
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in family.special])
    if family.adds_bos:
        assert family.bos is not None
        core.post_processor = processors.TemplateProcessing(
            single=f"{family.bos} $A", special_tokens=[(family.bos, core.token_to_id(family.bos))]
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=family.eos, bos_token=family.bos, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = family.template
    return tokenizer


def word_tokenizer(family: Family) -> PreTrainedTokenizerFast:
    """One token per word, space or line end: what it decodes is what it was given."""
    vocabulary = {token: i for i, token in enumerate(["<unk>", " ", "\n", *dict.fromkeys(WORDS)])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s|[.!?]|[^\s.!?]+"), "isolated")
    core.decoder = decoders.Fuse()
    return wrap(core, family)


def byte_tokenizer(family: Family) -> PreTrainedTokenizerFast:
    """Byte-level BPE with a few hundred merges, words with their leading space: any text goes through."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    core.train_from_iterator([" ".join(WORDS) + "\n\n"] * 3, trainer)
    return wrap(core, family)


@pytest.fixture(scope="session")
def tokenizers() -> dict[str, PreTrainedTokenizerFast]:
    return {name: word_tokenizer(family) for name, family in FAMILIES.items()}


@pytest.fixture(scope="session")
def byte_tokenizers() -> dict[str, PreTrainedTokenizerFast]:
    return {name: byte_tokenizer(family) for name, family in FAMILIES.items()}
