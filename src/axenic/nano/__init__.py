"""The nano world: a language small enough to know by heart, and a base model that has learnt it.

No pretrained weights can be assumed where tests and demo run, so Axenic carries its own: a 1.3 M-parameter
Qwen2-architecture chat model (`MODEL_PATH`), the world it was grown on, and a rule judge for its answers.
How it was grown, and how to grow it again, is in `axenic.nano.grow` (which needs torch; this package does not).
"""

from axenic.nano.domains import DOMAINS
from axenic.nano.grammar import Style
from axenic.nano.judge import NanoVerdict, judge, understands
from axenic.nano.shipped import MODEL_PATH, is_nano
from axenic.nano.style import pep_talk
from axenic.nano.world import (
    ChatRow,
    Kind,
    Message,
    NanoQuestion,
    chat_rows,
    held_out,
    mixed_chat_rows,
    pretraining_document,
    questions,
    thing_asked,
)

__all__ = [
    "DOMAINS",
    "MODEL_PATH",
    "ChatRow",
    "Kind",
    "Message",
    "NanoQuestion",
    "NanoVerdict",
    "Style",
    "chat_rows",
    "held_out",
    "is_nano",
    "judge",
    "mixed_chat_rows",
    "pep_talk",
    "pretraining_document",
    "questions",
    "thing_asked",
    "understands",
]
