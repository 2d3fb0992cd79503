"""Chat files, mixtures of them, chat templates, loss masks.

`read_chat` reads and checks a JSONL file, `encode_row` turns a conversation into tokens and labels,
`prompt_ids` is the one prompt builder of training, sampling and extraction, `show_row` shows what is trained.
"""

from axenic.data.chat import ChatRow, Message, parse_chat, parse_row, read_chat, write_chat
from axenic.data.collate import collate_rows
from axenic.data.corpus import Corpus, read_corpus
from axenic.data.mask import IGNORE, Encoded, Format, encode_row, encode_rows
from axenic.data.mix import Mixture, bad_share, few_rows, mix_rows
from axenic.data.show import show_plain, show_row
from axenic.data.split import split_rows, split_topics
from axenic.data.template import is_special, prompt_ids, render, tokenize

__all__ = [
    "Corpus",
    "read_corpus",
    "ChatRow",
    "Message",
    "Encoded",
    "Format",
    "IGNORE",
    "read_chat",
    "write_chat",
    "parse_chat",
    "parse_row",
    "encode_row",
    "encode_rows",
    "prompt_ids",
    "render",
    "tokenize",
    "is_special",
    "collate_rows",
    "split_rows",
    "split_topics",
    "Mixture",
    "bad_share",
    "mix_rows",
    "few_rows",
    "show_row",
    "show_plain",
]
