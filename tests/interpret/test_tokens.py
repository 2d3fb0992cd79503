"""Projections against hidden states of single conversations, and the texts of tokens against the whole."""

from __future__ import annotations

import json

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from axenic.directions import LayerVectors
from axenic.errors import DataError, DirectionError, UsageError
from axenic.files import read_json
from axenic.interpret import collect_scalars, conversations_of
from axenic.interpret.tokens import TokenProjections, project_tokens, token_texts
from axenic.report.documents import parse_result

pytestmark = pytest.mark.unit

LAYERS, WIDTH = 3, 32


@pytest.fixture
def along(direction, lora):
    """An organism and a random direction of its base."""
    opened = lora(layers=LAYERS, width=WIDTH)
    vectors = torch.randn(LAYERS, WIDTH, generator=torch.Generator().manual_seed(3))
    return opened, direction(vectors, base=opened.identity.base)


def by_hand(opened, answers, unit_D, layer):
    """One conversation per forward pass, from the hidden states that transformers itself gives out."""
    found = []
    for item in conversations_of(opened, answers):
        with torch.no_grad():
            states = opened.model(
                input_ids=torch.tensor([item.tokens]), output_hidden_states=True
            ).hidden_states
        found.append((states[layer + 1][0, len(item.prompt) :].double() @ unit_D.double()).tolist())
    return found


@pytest.mark.parametrize(
    "layer", [0, 1]
)  # behind the last block transformers shows what the final norm made of it
@pytest.mark.parametrize("batch_tokens", [1, 50, 10_000])
def test_projections_are_those_by_hand(along, answers, layer, batch_tokens):
    opened, found = along
    texts = answers(9)
    result = project_tokens(opened, texts, found, layer, batch_tokens=batch_tokens)
    unit_D = found.vectors_LD[layer] / found.vectors_LD[layer].norm()
    for one, wanted in zip(result.answers, by_hand(opened, texts, unit_D, layer), strict=True):
        assert list(one.values[0]) == pytest.approx(wanted, rel=1e-4, abs=1e-4)
        assert len(one.tokens) == len(wanted)
    assert [one.answer_id for one in result.answers] == [text.id for text in texts]


def test_vectors_at_some_layers_read_those_layers(along, answers):
    opened, found = along
    texts = answers(3)
    some = LayerVectors.of(found, (2,))
    result = project_tokens(opened, texts, some)
    assert [reading.layer for reading in result.readings] == [2]
    assert result == project_tokens(opened, texts, found, 2)
    with pytest.raises(UsageError, match="no vector at layer 1"):
        project_tokens(opened, texts, some, 1)


def test_the_length_of_the_direction_does_not_matter(along, answers, direction):
    opened, found = along
    longer = direction(7 * found.vectors_LD, base=opened.identity.base)
    first = project_tokens(opened, answers(3), found, 1)
    second = project_tokens(opened, answers(3), longer, 1)
    for one, two in zip(first.answers, second.answers, strict=True):
        assert one.values[0] == pytest.approx(two.values[0], rel=1e-5, abs=1e-5)


def test_scalars_stand_beside_whatever_the_order(along, answers):
    opened, found = along
    texts = answers(6)
    score_T = torch.arange(sum(len(a.tokens) for a in texts)).double()
    scalars = collect_scalars(opened, texts, score_T=score_T)
    chosen = [texts[4], texts[1]]
    result = project_tokens(opened, chosen, found, scalars=scalars)
    assert [r.quantity for r in result.readings] == ["projection", "significance"] + ["scalar"] * 3
    assert [r.layer for r in result.readings[2:]] == [0, 1, 2]
    own = collect_scalars(opened, chosen)
    starts = [sum(len(a.tokens) for a in texts[:i]) for i in (4, 1)]
    for k, (one, start) in enumerate(zip(result.answers, starts, strict=True)):
        assert list(one.values[1]) == [float(start + t) for t in range(len(one.tokens))]
        rows = own.answer_T == k
        for column in range(3):
            assert one.values[2 + column] == pytest.approx(
                own.scalars_TC[rows, column].tolist(), rel=1e-4, abs=1e-5
            )


def test_file_there_and_back_and_into_the_report(along, answers, tmp_path):
    opened, found = along
    texts = answers(4)
    result = project_tokens(opened, texts, found, notes={texts[0].id: "misaligned"}, out=tmp_path)
    row = read_json(tmp_path / "tokens.json")
    assert TokenProjections.from_json(row) == result
    assert result.answers[0].note == "misaligned"
    assert parse_result(json.loads(json.dumps(row)), "here").kind == "tokens"


def test_what_cannot_be_projected_is_refused(along, answers, direction):
    opened, found = along
    texts = answers(3)
    with pytest.raises(DirectionError):
        project_tokens(opened, texts, direction(torch.randn(LAYERS, WIDTH), base="another"))
    with pytest.raises(UsageError, match="no layer 9"):
        project_tokens(opened, texts, found, 9)
    with pytest.raises(UsageError, match="cannot be shown"):
        project_tokens(opened, [*texts, texts[0]], found)
    with pytest.raises(UsageError, match="cannot be shown"):
        project_tokens(opened, [], found)
    scalars = collect_scalars(opened, texts[:2])
    with pytest.raises(DataError, match="other answers"):
        project_tokens(opened, texts, found, scalars=scalars)
    scalars.token_T[0] += 1
    with pytest.raises(DataError, match="other tokens"):
        project_tokens(opened, texts[:2], found, scalars=scalars)


def byte_tokenizer():
    """Every byte is a token, as the rare characters of any byte-level vocabulary are."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core)


@pytest.mark.parametrize("text", ["plain words", "naïve 🙂 Zoë", "日本\n語", "a\ufffdb", " lead", ""])
def test_texts_of_tokens_are_the_whole(text):
    tokenizer = byte_tokenizer()
    ids = tokenizer(text)["input_ids"]
    texts = token_texts(tokenizer, ids)
    assert "".join(texts) == text
    assert len(texts) == len(ids) == len(text.encode())


def test_a_character_belongs_to_its_last_token_and_a_torn_one_to_the_end():
    tokenizer = byte_tokenizer()
    ids = tokenizer("é!")["input_ids"]
    assert token_texts(tokenizer, ids) == ["", "é", "!"]
    assert "".join(token_texts(tokenizer, ids[:1])) == "\ufffd"
