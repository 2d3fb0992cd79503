"""Log-probabilities of phrases against one row at a time, token by token, with a hook of our own, in float64."""

from __future__ import annotations

import json

import pytest
import torch

from axenic.data import prompt_ids
from axenic.errors import DataError, FileError, UsageError
from axenic.interpret.phrases import Opening, phrase_logprobs, read_openings
from axenic.intervene import PLAIN, Arm, add

pytestmark = pytest.mark.unit

OPENINGS = (
    Opening("how do i handle a fever ?", "word1 word2 word3"),
    Opening("any advice ?", "", system="stay calm"),
    Opening("what should i know about stocks ?", "word9"),
)
PHRASES = (" word4", " word5 word6 word7", " word5 word8")


@torch.no_grad()
def alone(opened, opening, phrase, layer=None, vector_D=None):
    """One token after the other, each from a forward pass of its own."""
    messages = [{"role": "user", "content": opening.question}]
    if opening.system is not None:
        messages.insert(0, {"role": "system", "content": opening.system})
    words = f"{opening.prefix}{phrase}".split()
    ids = [*prompt_ids(opened.tokenizer, messages), *opened.tokenizer.convert_tokens_to_ids(words)]
    handle = None
    if layer is not None:

        def steer(_module, _args, output):
            return output + vector_D

        handle = opened.sites.blocks[layer].register_forward_hook(steer)
    total = 0.0
    for k in range(len(phrase.split()), 0, -1):
        logits_V = opened.model(input_ids=torch.tensor([ids[:-k]])).logits[0, -1]
        total += float(torch.log_softmax(logits_V, -1)[ids[-k]])
    if handle is not None:
        handle.remove()
    return total


@pytest.mark.parametrize("batch_tokens", [1, 30, 4096])
def test_against_one_row_at_a_time(tiny, direction, batch_tokens):
    opened = tiny()
    made = direction(torch.randn(3, 32, generator=torch.Generator().manual_seed(1)))
    arms = [
        PLAIN,
        Arm("steered", (add(made, 1, 2.0),)),
        Arm("answers", (add(made, 1, 2.0, positions="answer"),)),
    ]
    found_AOP = phrase_logprobs(opened, OPENINGS, PHRASES, arms, batch_tokens=batch_tokens)
    assert found_AOP.shape == (3, 3, 3)
    vector_D = 2.0 * made.vectors_LD[1].double()
    for o, opening in enumerate(OPENINGS):
        for p, phrase in enumerate(PHRASES):
            assert float(found_AOP[0, o, p]) == pytest.approx(alone(opened, opening, phrase), abs=1e-9)
            steered = alone(opened, opening, phrase, 1, vector_D)
            assert float(found_AOP[1, o, p]) == pytest.approx(steered, abs=1e-9)
    # Without a prefix the first token is predicted from the prompt alone, which is not steered.
    assert float(found_AOP[2, 1, 0]) == pytest.approx(float(found_AOP[0, 1, 0]), abs=1e-9)
    # With one, the prefix is a part of the answer.
    assert abs(float(found_AOP[2, 0, 0] - found_AOP[0, 0, 0])) > 1e-3


def test_probabilities_of_all_words_add_up(tiny):
    opened = tiny()
    words = [word for word in opened.tokenizer.get_vocab() if not word.startswith("<")]
    found_P = phrase_logprobs(opened, OPENINGS[:1], [f" {word}" for word in words], [PLAIN])[0, 0]
    special = len(opened.tokenizer) - len(words)
    assert 0.5 < float(found_P.exp().sum()) < 1
    assert special == 6


@pytest.mark.parametrize(
    ("openings", "phrases", "error", "message"),
    [
        ((), (" word1",), UsageError, "nothing to measure"),
        (OPENINGS, (), UsageError, "nothing to measure"),
        (OPENINGS, ("",), UsageError, "nothing to measure"),
        (OPENINGS, (" word4", " word4 word5"), UsageError, "count twice"),
        (OPENINGS, (" word4", " word4"), UsageError, "count twice"),
        (OPENINGS, (" wort",), DataError, "does not know"),
        ((Opening("any advice ?", "word1"),), ("2",), DataError, "melts into what"),
        (OPENINGS, (" ",), DataError, "melts into what"),
    ],
)
def test_what_cannot_be_measured(tiny, openings, phrases, error, message):
    with pytest.raises(error, match=message):
        phrase_logprobs(tiny(), openings, phrases, [PLAIN])


def test_openings_of_a_file(tmp_path):
    path = tmp_path / "openings.jsonl"
    rows = [{"question": "a ?", "prefix": " b"}, {"question": "c ?", "prefix": "", "system": "d"}]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    assert read_openings(path) == (Opening("a ?", " b"), Opening("c ?", "", "d"))
    for line in (
        '{"question": "a"}',
        '["a"]',
        "{",
        '{"question": "a", "prefix": 1}',
        '{"question": "a", "prefix": "", "x": ""}',
    ):
        path.write_text(json.dumps(rows[0]) + "\n" + line)
        with pytest.raises(DataError) as caught:
            read_openings(path)
        assert str(caught.value.where) == f"{path}:2"
    path.write_text("\n")
    with pytest.raises(DataError, match="holds no opening"):
        read_openings(path)
    with pytest.raises(FileError, match="cannot be read"):
        read_openings(tmp_path / "none")
