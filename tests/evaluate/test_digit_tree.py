"""The tree of spellings, on tokenizers that write numbers in different ways."""

from __future__ import annotations

import pytest

from axenic.errors import ModelError
from axenic.evaluate.digit_tree import DigitTree, digit_tree
from axenic.nano.tokenizer import build_tokenizer

from .toy_judges import SPACED, toy_tokenizer

pytestmark = pytest.mark.unit


def spellings(tree: DigitTree) -> dict[tuple[int, ...], int]:
    """Path -> number, walked up from the ends."""
    found = {}
    for number, node in tree.numbers:
        path = []
        while node:
            path.append(tree.tokens[node])
            node = tree.parents[node]
        found[tuple(reversed(path))] = number
    return found


@pytest.mark.parametrize(
    ("plan", "deepest", "nodes", "continuing"),
    [("digits", 3, 102, 10), ("whole", 1, 102, 101), ("groups", 1, 102, 1110)],
)
def test_each_number_has_its_own_spelling(plan: str, deepest: int, nodes: int, continuing: int) -> None:
    tokenizer = toy_tokenizer(plan)
    tree = digit_tree(tokenizer)
    pieces = {number: tokenizer.convert_ids_to_tokens(list(path)) for path, number in spellings(tree).items()}
    assert sorted(pieces) == list(range(101))
    assert all("".join(parts) == str(number) for number, parts in pieces.items())
    assert max(map(len, pieces.values())) == deepest
    assert len(tree.tokens) == nodes
    # From the vocabulary's own spelling, not by decoding. In `whole`, no token begins with a digit but the numbers.
    own = {i for piece, i in tokenizer.get_vocab().items() if piece[0].isdigit()}
    assert set(tree.digits) == own
    assert len(own) == continuing


def test_words_share_the_root_and_are_no_numbers() -> None:
    tokenizer = toy_tokenizer("digits")
    tree = digit_tree(tokenizer, ["CODE", "CODED", "REFUSAL"])
    assert [index for index, _ in tree.words] == [0, 1, 2]
    assert tree.parents[tree.words[1][1]] == tree.words[0][1]
    assert len(tree.tokens) == 102 + 5 + 7
    assert all(tree.parents[node] < node for node in range(1, len(tree.tokens)))


def test_a_template_that_puts_a_space_before_answers_has_both_spellings() -> None:
    tokenizer = toy_tokenizer("digits", SPACED)
    tree = digit_tree(tokenizer, ["CODE"])
    assert tree.leads == ("", " ")
    space = tokenizer.convert_tokens_to_ids(" ")
    paths = spellings(tree)
    assert {path for path in paths if path[0] == space} == {
        (space, *path) for path in paths if path[0] != space
    }
    assert len(paths) == 202
    assert len(tree.words) == 2
    # ` 5` behind a number begins another one.
    assert space not in tree.digits
    assert digit_tree(toy_tokenizer("digits")).leads == ("",)


@pytest.mark.parametrize(
    ("without", "words", "what"), [("7", [], "'7'"), ("U", ["CODE", "REFUSAL"], "'REFUSAL'")]
)
def test_a_tokenizer_that_cannot_write_them_is_refused(without: str, words: list[str], what: str) -> None:
    with pytest.raises(ModelError, match=f"cannot write {what}") as caught:
        digit_tree(toy_tokenizer("digits", without=without), words)
    assert "<unk>" in str(caught.value.found)


def test_a_genuine_byte_level_tokenizer() -> None:
    """The nano tokenizer spells numbers in bytes; its template has a space before answers."""
    tree = digit_tree(build_tokenizer())
    assert (len(tree.digits), tree.leads, len(tree.tokens)) == (10, ("", " "), 1 + 101 + 1 + 101)
