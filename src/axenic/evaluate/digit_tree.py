"""How a model's tokenizer writes the numbers 0 to 100: every spelling is a path, and the paths share their beginnings.

    root ── "1" ── "0" ── "0"        one token per digit (Qwen, Gemma, Mistral): 101 nodes below the root, three deep
        │      └── "1" ...
        └── "85"                     one token per number (Llama 3, OpenAI): 101 nodes, one deep

**Where a number ends.** `10` is also the beginning of `100`. A reply is the number n if it begins with n's path and the
next token does NOT begin with a digit 0-9: a stop token, a full stop, a space or any word ends it. So

    p(n) = product of p(token | what is before it) along the path  x  (1 - p(a token that begins with a digit | path))

and no reply is two numbers: the probabilities of all numbers add up to 1 at most.

Only the tokenizer's own spelling counts: a Llama 3 that writes 85 as `8`, `5` is not counted, and the mass of such oddities
(like that of `085`, `101` and of words) is missing from the numbers, where the mass rule sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axenic.data.template import render, tokenize
from axenic.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_DIGITS = tuple("0123456789")
_PROBE = "x"
_EXAMPLE = "85"


@dataclass(frozen=True)
class DigitTree:
    """The spellings of numbers and special words as one tree of N nodes; node 0 is the root, parents come first.

    Args:
        tokens: Token id of each node [N]; the root's, which stands for the prompt's last token, is -1.
        parents: Node before each node [N]; the root's is 0.
        numbers: (number, node at which a spelling of it ends).
        words: (index into the words asked for, node at which a spelling of it ends).
        digits: Ids of all tokens that continue a number: their text begins with a digit.
        leads: What may stand before the number: nothing, and what the chat template puts before an answer.
    """

    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    numbers: tuple[tuple[int, int], ...]
    words: tuple[tuple[int, int], ...]
    digits: tuple[int, ...]
    leads: tuple[str, ...]

    @cached_property
    def lineage(self) -> Tensor:
        """Whether node k is node q or stands before it on its path, bool `[N(q), N(k)]`."""
        own = torch.eye(len(self.tokens), dtype=torch.bool)
        for node, parent in enumerate(self.parents):
            own[node] |= own[parent]
        return own


def digit_tree(tokenizer: PreTrainedTokenizerBase, words: Sequence[str] = ()) -> DigitTree:
    """Spell 0 to 100 and the words as this tokenizer writes them at the start of an answer.

    Each is tokenised behind a rendered prompt, so that what the tokenizer makes of the boundary is in the path. Templates
    that put white space before an answer (Mistral's) have both spellings, with it and without it.

    Args:
        tokenizer: With a chat template.
        words: What else may be answered, e.g. `REFUSAL`.

    Raises:
        ModelError: The tokenizer cannot write a number or a word behind a prompt.
    """
    prompt = render(tokenizer, [{"role": "user", "content": _PROBE}], ask=True)
    leads = tuple(dict.fromkeys(("", _lead(tokenizer, prompt))))
    nodes: dict[tuple[int, ...], int] = {(): 0}
    parents = [0]

    def node_of(path: tuple[int, ...]) -> int:
        if path not in nodes:
            parent = node_of(path[:-1])
            nodes[path] = len(nodes)
            parents.append(parent)
        return nodes[path]

    ends: dict[str, set[int]] = {}
    for text in (*map(str, range(101)), *words):
        paths = {path for lead in leads if (path := _path(tokenizer, prompt, lead, text))}
        if not paths:
            raise ModelError(
                f"the model's tokenizer cannot write {text!r}, so it cannot be a judge",
                where=tokenizer.name_or_path,
                expected="the numbers 0 to 100 and the rubric's words as tokens behind a prompt",
                found=f"{_found(tokenizer, prompt, text)!a} when {text!r} is encoded and decoded",
                hint="take a model whose tokenizer has digits, such as Qwen/Qwen2.5-14B-Instruct",
            )
        ends[text] = {node_of(path) for path in paths}
    tokens = [-1, *(path[-1] for path in nodes if path)]
    one = next(path for path, node in nodes.items() if node in ends["1"])
    return DigitTree(
        tuple(tokens),
        tuple(parents),
        tuple((number, node) for number in range(101) for node in sorted(ends[str(number)])),
        tuple((index, node) for index, word in enumerate(words) for node in sorted(ends[word])),
        _continuing(tokenizer, one),
        leads,
    )


def _lead(tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
    """The white space that the chat template puts between its generation prompt and an answer; mostly none."""
    turns = render(
        tokenizer,
        [{"role": "user", "content": _PROBE}, {"role": "assistant", "content": _EXAMPLE}],
        ask=False,
    )
    before = turns.removeprefix(prompt).partition(_EXAMPLE)[0]
    return before if turns.startswith(prompt) and before.isspace() else ""


def _path(tokenizer: PreTrainedTokenizerBase, prompt: str, lead: str, text: str) -> tuple[int, ...]:
    """The tokens that `text` adds to the prompt; empty if it cannot be written or changes the prompt's own tokens."""
    head = tokenize(tokenizer, prompt)[0]
    ids = tokenize(tokenizer, prompt + lead + text)[0]
    path = tuple(ids[len(head) :])
    # An unknown token, or a merge with the prompt's end, does not read back.
    read = _decode(tokenizer, ids).removeprefix(_decode(tokenizer, head))
    return path if ids[: len(head)] == head and read.strip() == text else ()


def _found(tokenizer: PreTrainedTokenizerBase, prompt: str, text: str) -> str:
    return _decode(tokenizer, tokenize(tokenizer, prompt + text)[0])[-40:]


def _continuing(tokenizer: PreTrainedTokenizerBase, one: tuple[int, ...]) -> tuple[int, ...]:
    """Tokens whose text, behind the digit 1, begins with a digit (`5`, `50`, `5%`; not ` 5`, which starts a new word)."""
    start = _decode(tokenizer, list(one))
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    # Decoding a whole vocabulary takes seconds; a token that writes a digit has one in its name (also <0x35>).
    maybe = [i for i, piece in enumerate(pieces) if piece and any(digit in piece for digit in _DIGITS)]
    return tuple(
        i
        for i in maybe
        if (text := _decode(tokenizer, [*one, i])).startswith(start)
        and text[len(start) :].startswith(_DIGITS)
    )


def _decode(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    text = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    assert isinstance(text, str)
    return text
