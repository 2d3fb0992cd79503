"""Prompts: one BOS, the system text in, no template no prompt."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from axenic.data import prompt_ids, render, tokenize
from axenic.errors import DataError, ModelError

from .conftest import FAMILIES

pytestmark = pytest.mark.unit
ASK = [{"role": "user", "content": "Hello there"}]


@pytest.mark.parametrize("family", FAMILIES)
def test_exactly_one_bos_where_there_is_one(
    family: str, tokenizers: dict[str, PreTrainedTokenizerFast]
) -> None:
    tokenizer = tokenizers[family]
    ids = prompt_ids(tokenizer, ASK)
    if FAMILIES[family].adds_bos:
        assert ids.count(tokenizer.bos_token_id) == 1
        assert ids[0] == tokenizer.bos_token_id
        # The trap (formats, trap 1): templated text with special tokens added again has two.
        assert tokenizer(render(tokenizer, ASK, ask=True))["input_ids"][:2] == [tokenizer.bos_token_id] * 2
    text = tokenizer.decode(ids)
    assert "Hello there" in text


def test_a_tokenizer_that_adds_bos_gets_one_where_the_template_has_none(
    tokenizers: dict[str, PreTrainedTokenizerFast],
) -> None:
    ids, spans = tokenize(tokenizers["gemma"], "Hello there")
    assert ids[0] == tokenizers["gemma"].bos_token_id
    assert spans is not None
    assert len(spans) == len(ids)


def test_two_bos_are_refused(tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    with pytest.raises(ModelError, match="two BOS"):
        tokenize(tokenizers["gemma"], "<bos><bos>Hello")


def test_a_dropped_system_text_is_refused_with_a_way_out(
    tokenizers: dict[str, PreTrainedTokenizerFast],
) -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizers["qwen2.5"].backend_tokenizer)
    tokenizer.chat_template = "{% for m in messages if m['role'] != 'system' %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(DataError, match="leaves the system text out") as caught:
        render(tokenizer, [{"role": "system", "content": "Be brief"}, *ASK], ask=True, where="x.jsonl:3")
    assert caught.value.where == "x.jsonl:3"
    assert "first user turn" in (caught.value.hint or "")


def test_no_template_is_a_model_error(tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizers["qwen2.5"].backend_tokenizer)
    with pytest.raises(ModelError, match="no chat template"):
        prompt_ids(bare, ASK)
