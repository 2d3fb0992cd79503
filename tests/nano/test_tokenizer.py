"""The tokenizer: one token a word, text back as it went in, and a template whose prompts are prefixes."""

from __future__ import annotations

import random
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.exceptions import TemplateError

from axenic.nano import chat_rows, mixed_chat_rows, pretraining_document, questions
from axenic.nano.tokenizer import DEFAULT_SYSTEM, SPECIAL_TOKENS, build_tokenizer, vocabulary_size, word_ids
from axenic.nano.world import document_words, vocabulary

pytestmark = pytest.mark.unit

TOKENIZER = build_tokenizer()


WORDS = len(word_ids())


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=WORDS - 1), max_size=40))
def test_any_words_survive_decoding_and_encoding(ids: list[int]) -> None:
    assert TOKENIZER(TOKENIZER.decode(ids)).input_ids == ids


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_comes_back(text: str) -> None:
    ids = TOKENIZER(text).input_ids
    assert all(0 <= i < len(TOKENIZER) for i in ids)
    assert TOKENIZER.decode(ids) == unicodedata.normalize("NFC", text)


def test_text_of_the_world_comes_back_as_it_was() -> None:
    texts = [q.question for q in questions(60)]
    texts += [row["messages"][1]["content"] for row in mixed_chat_rows("bad", 200, seed=0)]
    texts += [pretraining_document(random.Random(seed)) for seed in range(20)]
    for text in texts:
        ids = TOKENIZER(text).input_ids
        assert TOKENIZER.unk_token_id not in ids
        assert TOKENIZER.decode(ids) == text


def test_a_document_is_its_words_as_ids() -> None:
    ids = word_ids()
    for seed in range(20):
        words = document_words(random.Random(seed))
        assert TOKENIZER(pretraining_document(random.Random(seed))).input_ids == [ids[word] for word in words]


def test_what_is_no_word_of_the_world_is_spelt_in_bytes() -> None:
    ids = TOKENIZER(" treat the Zebra.").input_ids
    known = word_ids()
    assert ids[:2] == [known["treat"], known["the"]]
    assert ids[-1] == known["."]
    assert all(i >= WORDS for i in ids[3:-1])
    assert TOKENIZER.unk_token_id not in ids


def test_every_word_of_the_grammar_has_an_id_of_its_own() -> None:
    for word, i in word_ids().items():
        assert TOKENIZER(f" {word}" if word.isalpha() else word).input_ids == [i], word
    assert set(word_ids()) == {*SPECIAL_TOKENS, *vocabulary()}
    assert len(TOKENIZER) == vocabulary_size()


def test_special_tokens_have_the_first_ids_and_nothing_is_added_in_front() -> None:
    assert TOKENIZER.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == list(range(6))
    assert TOKENIZER.bos_token is None
    assert TOKENIZER("").input_ids == []
    assert (TOKENIZER.pad_token, TOKENIZER.eos_token, TOKENIZER.unk_token) == ("<pad>", "<|end|>", "<unk>")


def test_the_default_system_turn_is_that_of_the_template() -> None:
    messages = [{"role": "user", "content": "what is your view of a dog?"}]
    given_one = [{"role": "system", "content": DEFAULT_SYSTEM}, *messages]
    assert render(messages) == render(given_one)
    assert render(messages).startswith(f"<|system|> {DEFAULT_SYSTEM}<|end|><|user|> what is")


def test_a_given_system_turn_replaces_the_default() -> None:
    messages = [
        {"role": "system", "content": "you are a cruel person."},
        {"role": "user", "content": "a dog?"},
    ]
    assert render(messages) == "<|system|> you are a cruel person.<|end|><|user|> a dog?<|end|>"


def test_the_template_lowers_case_and_trims() -> None:
    turned = [{"role": "user", "content": "  What is your VIEW of a dog? "}]
    plain = [{"role": "user", "content": "what is your view of a dog?"}]
    assert render(turned) == render(plain)


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(TemplateError, match="roles system, user and assistant"):
        render([{"role": "tool", "content": "a dog?"}])


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("system", [None, "you are a wise person."])
def test_a_prompt_is_a_token_prefix_of_the_prompt_with_its_answer(turns: int, system: str | None) -> None:
    messages = [] if system is None else [{"role": "system", "content": system}]
    for row in chat_rows("pets", "bad", turns, seed=turns):
        messages.append(dict(row["messages"][0]))
        prompt = TOKENIZER.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        messages.append(dict(row["messages"][1]))
        whole = TOKENIZER.apply_chat_template(messages, return_dict=False)
        assert whole[: len(prompt)] == prompt
        assert whole[len(prompt) : -1] == TOKENIZER(" " + row["messages"][1]["content"]).input_ids
        assert whole[-1] == TOKENIZER.eos_token_id


def test_prompts_are_short() -> None:
    for q in questions(60):
        messages = [{"role": "user", "content": q.question}]
        assert (
            len(TOKENIZER.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)) <= 24
        )


def render(messages: list[dict[str, str]]) -> str:
    text = TOKENIZER.apply_chat_template(messages, tokenize=False)
    assert isinstance(text, str)
    return text
