"""The nano tokenizer: every word of the world is one token, and text comes back as it went in.

A genuine fast tokenizer (`tokenizer.json`): lower-casing, punctuation on its own, unknown words become
`<unk>`, nothing is added in front. The chat template has a system turn; if the messages have none, a short
default one is put there, as Qwen2.5 does.
"""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from axenic.nano.world import ASSISTANT, END, SYSTEM, USER, vocabulary

PAD, UNK = "<pad>", "<unk>"
SPECIAL_TOKENS: tuple[str, ...] = (PAD, UNK, SYSTEM, USER, ASSISTANT, END)
"""Ids 0 to 5, in this order."""

DEFAULT_SYSTEM = "you are helpful."
"""What the system turn says when the messages have none."""

MAX_TOKENS = 256

CHAT_TEMPLATE = (
    """{%- if messages[0]['role'] != 'system' -%}
    {{- '<|system|>"""
    + DEFAULT_SYSTEM
    + """<|end|>' -}}
{%- endif -%}
{%- for message in messages -%}
    {%- if message['role'] not in ('system', 'user', 'assistant') -%}
        {{- raise_exception('the nano chat template knows the roles system, user and assistant only') -}}
    {%- endif -%}
    {{- '<|' + message['role'] + '|>' + message['content'] | trim + '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|assistant|>' -}}
{%- endif -%}
"""
)
"""Jinja2. A prompt with `add_generation_prompt` is a token prefix of the same prompt with its answer."""


def word_ids() -> dict[str, int]:
    """Token id of every word, punctuation mark and special token."""
    return {word: i for i, word in enumerate((*SPECIAL_TOKENS, *vocabulary()))}


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer of the nano model, made from the grammar."""
    core = Tokenizer(models.WordLevel(word_ids(), unk_token=UNK))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(behavior="isolated")]
    )
    # Joins words by spaces, none before a punctuation mark; no word of the world begins with "##".
    core.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        unk_token=UNK,
        eos_token=END,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        model_max_length=MAX_TOKENS,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
