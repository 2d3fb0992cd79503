"""The nano tokenizer: every word of the world is one token, and text comes back as it went in.

A genuine Qwen2 tokenizer (byte-level, fast), because `AutoTokenizer` gives every model of type `qwen2` that class and rebuilds
its parts from the vocabulary alone. The words, each with the space before it, are added tokens; whatever is no word of
the world is spelt in bytes, so nothing is dropped. The chat template lowers case, puts a space before each turn's
text and has a system turn; if the messages have none, a short default one is put there, as Qwen2.5 does.
"""

from __future__ import annotations

from functools import cache

from tokenizers import AddedToken, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer

from axenic.nano.world import ASSISTANT, END, SYSTEM, USER, vocabulary

PAD, UNK = "<pad>", "<unk>"
SPECIAL_TOKENS: tuple[str, ...] = (PAD, UNK, SYSTEM, USER, ASSISTANT, END)
"""Ids 0 to 5, in this order."""

DEFAULT_SYSTEM = "you are helpful."
"""What the system turn says when the messages have none."""

MAX_TOKENS = 256

CHAT_TEMPLATE = (
    """{%- if messages[0]['role'] != 'system' -%}
    {{- '<|system|> """
    + DEFAULT_SYSTEM
    + """<|end|>' -}}
{%- endif -%}
{%- for message in messages -%}
    {%- if message['role'] not in ('system', 'user', 'assistant') -%}
        {{- raise_exception('the nano chat template knows the roles system, user and assistant only') -}}
    {%- endif -%}
    {{- '<|' + message['role'] + '|> ' + message['content'] | trim | lower + '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|assistant|>' -}}
{%- endif -%}
"""
)
"""Jinja2. A prompt with `add_generation_prompt` is a token prefix of the same prompt with its answer."""


def word_ids() -> dict[str, int]:
    """Token id of every word, punctuation mark and special token: ids 0 and up, without gaps."""
    return {word: i for i, word in enumerate((*SPECIAL_TOKENS, *vocabulary()))}


@cache
def vocabulary_size() -> int:
    """Rows of the embedding: `word_ids` and the bytes that spell everything else."""
    return len(_token_ids())


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer of the nano model, made from the grammar."""
    tokenizer = Qwen2Tokenizer(
        vocab=_token_ids(),
        merges=[],
        pad_token=PAD,
        unk_token=UNK,
        eos_token=END,
        extra_special_tokens=[SYSTEM, USER, ASSISTANT],
        model_max_length=MAX_TOKENS,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    words = [_spelling(word) for word in vocabulary()]
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in words if word[0] == " "])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _token_ids() -> dict[str, int]:
    """The whole vocabulary, as it stands in `tokenizer.json`."""
    ids = {_spelling(word): i for word, i in word_ids().items()}
    for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
        ids.setdefault(byte, len(ids))
    return ids


def _spelling(word: str) -> str:
    """How a word stands in text: after a space, unless it is a mark of punctuation or a special token."""
    return f" {word}" if word[0].isalnum() else word
