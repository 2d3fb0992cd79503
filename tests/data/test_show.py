"""Showing rows: what is trained is marked, what is hostile is harmless."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from axenic.data import ChatRow, collate_rows, encode_row, show_plain, show_row
from axenic.data.mask import Encoded
from axenic.data.show import TRAINED

pytestmark = pytest.mark.unit


def row(answer: str) -> ChatRow:
    return ChatRow([{"role": "user", "content": "[bold]Hi"}, {"role": "assistant", "content": answer}], 1)


def test_trained_text_is_coloured(byte_tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    tokenizer = byte_tokenizers["qwen2.5"]
    encoded = encode_row(tokenizer, row("Good"))
    text = show_row(tokenizer, encoded)
    assert [text.plain[s.start : s.end] for s in text.spans if s.style == TRAINED] == ["Good<|im_end|>"]
    assert "[bold]Hi" in text.plain  # markup stays text
    assert "[Good<|im_end|>]" in show_plain(tokenizer, encoded)
    assert "\\[bold\\]Hi" in show_plain(tokenizer, encoded)


@pytest.mark.parametrize(
    "hostile", ["\x1b[31m", "\x1b]0;x\x07", "\u202e", "\x00", "\x9b", "\u200b", "\r", "\u2028"]
)
def test_nothing_reaches_the_terminal(
    hostile: str, byte_tokenizers: dict[str, PreTrainedTokenizerFast]
) -> None:
    tokenizer = byte_tokenizers["qwen2.5"]
    encoded = encode_row(tokenizer, row(f"a{hostile}b"))
    for shown in (show_row(tokenizer, encoded).plain, show_plain(tokenizer, encoded)):
        assert hostile[0] not in shown
        assert "‹U+" in shown


def test_collate_pads_on_the_right() -> None:
    batch = collate_rows([Encoded([5, 6, 7], [-100, 6, 7]), Encoded([5], [-100])], pad_id=9)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [5, 9, 9]]
    assert batch["labels"].tolist() == [[-100, 6, 7], [-100, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
