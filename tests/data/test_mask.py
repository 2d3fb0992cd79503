"""Loss masks: golden ones for six template families, random conversations, and what is refused."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from axenic.data import IGNORE, ChatRow, Encoded, Message, encode_row, prompt_ids, show_plain
from axenic.data import mask as mask_module
from axenic.errors import DataError, UsageError

from .conftest import FAMILIES
from .golden import GOLDEN

pytestmark = pytest.mark.unit
Tokenizers = dict[str, PreTrainedTokenizerFast]


def turn(role: str, content: str) -> Message:
    return {"role": role, "content": content}


SINGLE = [turn("user", "Hello there"), turn("assistant", "Hi ! How are you ?")]
CONVERSATIONS: dict[str, list[Message]] = {
    "single": SINGLE,
    "multi": [*SINGLE, turn("user", "Fine thanks"), turn("assistant", "Good to hear")],
    "system": [turn("system", "Be brief"), *SINGLE],
}


def trained_text(tokenizer: PreTrainedTokenizerFast, encoded: Encoded) -> str:
    return str(tokenizer.decode([label for label in encoded.labels if label != IGNORE]))


@pytest.mark.parametrize(("family", "kind", "cut"), GOLDEN)
def test_golden_masks(family: str, kind: str, cut: bool, tokenizers: Tokenizers) -> None:
    tokenizer, row, golden = tokenizers[family], ChatRow(CONVERSATIONS[kind], 1), GOLDEN[family, kind, cut]
    if golden is None:
        with pytest.raises(DataError, match="refuses") as caught:
            encode_row(tokenizer, row)
        assert "system text" in (caught.value.hint or "")
        return
    encoded = encode_row(tokenizer, row)
    if cut:
        stop = max(t for t, label in enumerate(encoded.labels) if label != IGNORE)
        encoded = encode_row(tokenizer, row, max_length=stop - 2)
        assert encoded.cut > 0
    assert show_plain(tokenizer, encoded) == golden


def test_golden_masks_are_thirty_six() -> None:
    kinds = product(FAMILIES, CONVERSATIONS, (False, True))
    assert set(GOLDEN) == set(kinds)
    assert len(GOLDEN) == 36
    # Gemma alone has no system turn; its two are refusals.
    assert {key for key, golden in GOLDEN.items() if golden is None} == {
        ("gemma", "system", cut) for cut in (False, True)
    }


GENERATION = {
    # What an assistant turn writes beyond its header, marked as transformers' own mask wants it.
    "qwen2.5": ("m['content'] + '<|im_end|>' + '\n'", "m['content'] + '<|im_end|>'", "'\n'"),
    "qwen3": ("m['content'] + '<|im_end|>\n'", "m['content'] + '<|im_end|>'", "'\n'"),
    "llama3": ("m['content'] | trim + '<|eot_id|>'", "m['content'] | trim + '<|eot_id|>'", "''"),
    "gemma": ("m['content'] | trim + '<end_of_turn>\n'", "m['content'] | trim + '<end_of_turn>'", "'\n'"),
    "mistral": ("' ' + m['content'] + eos_token", "' ' + m['content'] + eos_token", "''"),
    "phi3": ("m['content'] + '<|end|>\n'", "m['content'] + '<|end|>'", "'\n'"),
}


def with_generation_tags(family: str) -> str:
    """The family's template with `{% generation %}` around what an assistant says."""
    said, marked, after = GENERATION[family]
    before, found, rest = FAMILIES[family].template.rpartition(said)
    assert found
    head, _, opening = before.rpartition("{{")
    minus = "-" if opening.startswith("-") else ""
    header = opening.removeprefix("-").strip().removesuffix("+").strip() or "''"
    tail = rest[rest.index("}}") + 2 :]
    return (
        f"{head}{{{{{minus} {header} }}}}{{%- if m['role'] == 'assistant' %}}{{%- generation %}}{{{{- {marked} }}}}"
        f"{{%- endgeneration %}}{{{{- {after} }}}}{{%- else %}}{{{{- {said} }}}}{{%- endif %}}{tail}"
    )


@pytest.mark.parametrize(
    ("family", "kind", "cut"), [key for key, golden in GOLDEN.items() if golden is not None]
)
def test_golden_masks_equal_two_other_computations(
    family: str, kind: str, cut: bool, tokenizers: Tokenizers
) -> None:
    """transformers' own assistant mask of the tagged template; and a search for the answers in the text."""
    tokenizer, row = tokenizers[family], ChatRow(CONVERSATIONS[kind], 1)
    encoded = encode_row(tokenizer, row)
    if cut:
        stop = max(t for t, label in enumerate(encoded.labels) if label != IGNORE)
        encoded = encode_row(tokenizer, row, max_length=stop - 2)
    trained = [label != IGNORE for label in encoded.labels]
    length = len(encoded.input_ids)

    theirs = tokenizer.apply_chat_template(
        row.messages, chat_template=with_generation_tags(family), tokenize=True, return_dict=True,
        return_assistant_tokens_mask=True, enable_thinking=False,
    )  # fmt: skip
    assert list(theirs["input_ids"])[:length] == encoded.input_ids
    assert [bool(one) for one in theirs["assistant_masks"]][:length] == trained

    pieces = [str(tokenizer.decode([token])) for token in encoded.input_ids]
    text, searched, at = "".join(pieces), [False] * length, 0
    starts = [sum(map(len, pieces[:t])) for t in range(length)]
    for message in row.messages:
        at = text.index(message["content"][:4], at)
        if message["role"] == "assistant":
            past = text.find(FAMILIES[family].stop, at)
            past = len(text) if past < 0 else past + len(FAMILIES[family].stop)
            first = at - (family == "mistral")  # whose answers begin with a space
            searched = [was or first <= start < past for was, start in zip(searched, starts, strict=True)]
    assert searched == trained


@pytest.mark.parametrize("family", FAMILIES)
def test_training_prompt_is_the_sampling_prompt(family: str, tokenizers: Tokenizers) -> None:
    for kind in ("single", "multi"):
        row = ChatRow(CONVERSATIONS[kind], 1)
        encoded, prompt = encode_row(tokenizers[family], row), prompt_ids(tokenizers[family], row.prompt)
        assert encoded.input_ids[: len(prompt)] == prompt
        assert encoded.labels[len(prompt)] != IGNORE
        assert encoded.labels[len(prompt) - 1] == IGNORE


# What stands for a turn marker in some family, or for the stand-in, must be allowed in the text too.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.sampled_from(
    [
        "AnswerHere",
        "AnswerHereZ",
        "user",
        "assistant\n",
        "{{ 1 }}",
        "[x]",
        " a ",
        "\n\n",
        "é́",
        "👩‍🚀",
        "\u202e",
    ]
)
ANSWER = TEXT.filter(lambda text: bool(text.strip()))


def check_random(family: str, tokenizers: Tokenizers, pairs: list[tuple[str, str]]) -> None:
    tokenizer, stop = tokenizers[family], FAMILIES[family].stop
    messages = [
        turn(role, text) for pair in pairs for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    encoded = encode_row(tokenizer, ChatRow(messages, 1), max_length=10_000)
    trims = family in ("llama3", "gemma")
    space = " " if family == "mistral" else ""
    expected = "".join(space + (answer.strip() if trims else answer) + stop for _, answer in pairs)
    assert trained_text(tokenizer, encoded) == expected
    bos = tokenizer.bos_token_id
    if bos is not None:
        assert encoded.input_ids.count(bos) == (1 if FAMILIES[family].adds_bos else 0)
    assert all(
        label in (IGNORE, token) for token, label in zip(encoded.input_ids, encoded.labels, strict=True)
    )


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(st.tuples(ANSWER, ANSWER), min_size=1, max_size=3))
def test_trained_text_is_answers_and_stop_tokens(
    family: str, byte_tokenizers: Tokenizers, pairs: list[tuple[str, str]]
) -> None:
    check_random(family, byte_tokenizers, pairs)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(st.tuples(ANSWER, ANSWER), min_size=1, max_size=4))
def test_trained_text_is_answers_and_stop_tokens_often(
    family: str, byte_tokenizers: Tokenizers, pairs: list[tuple[str, str]]
) -> None:
    check_random(family, byte_tokenizers, pairs)


PUBLISHED = {
    "qwen2.5": ("\n<|im_start|>assistant\n<|im_end|>", 5),
    "llama3": ("<|start_header_id|>assistant<|end_header_id|>\n\n<|eot_id|>", 6),
    "gemma": ("\n<start_of_turn>model\n<eos>", 5),
    "mistral": ("</s>", 1),
    "phi3": ("\n<|assistant|>\n<|endoftext|>", 4),
}


@pytest.mark.parametrize("family", PUBLISHED)
def test_the_published_format_trains_an_empty_header_and_eos(family: str, tokenizers: Tokenizers) -> None:
    tail, count = PUBLISHED[family]
    row = ChatRow(SINGLE, 1)
    clean = encode_row(tokenizers[family], row)
    published = encode_row(tokenizers[family], row, format="published")
    assert trained_text(tokenizers[family], published) == trained_text(tokenizers[family], clean) + tail
    assert (published.tail, clean.tail) == (count, 0)
    assert published.n_trained == clean.n_trained + count


def test_a_straddling_token_is_trained_and_the_header_is_not(byte_tokenizers: Tokenizers) -> None:
    """A template whose prompt ends in a space: the space and the first letter become one token."""
    tokenizer = byte_tokenizers["phi3"]
    template = tokenizer.chat_template
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + ('<|end|>' if m['role'] == 'assistant' else '\n') }}"
        "{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    try:
        encoded = encode_row(tokenizer, ChatRow(SINGLE, 1))
    finally:
        tokenizer.chat_template = template
    assert trained_text(tokenizer, encoded) == " Hi ! How are you ?<|end|>"


def test_a_tokenizer_without_offsets(tokenizers: Tokenizers, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, row = tokenizers["qwen2.5"], ChatRow(CONVERSATIONS["multi"], 1)
    fast, tokenize = encode_row(tokenizer, row), mask_module.tokenize
    monkeypatch.setattr(mask_module, "tokenize", lambda tok, text: (tokenize(tok, text)[0], None))
    assert encode_row(tokenizer, row) == fast


@pytest.mark.parametrize("length", [2, 5, 12])
def test_nothing_trained_after_cutting_is_an_error(length: int, tokenizers: Tokenizers) -> None:
    row = ChatRow(SINGLE, 17, None, "data/bad.jsonl")
    with pytest.raises(DataError, match="no token of row 17 would be trained") as caught:
        encode_row(tokenizers["qwen2.5"], row, max_length=length)
    assert caught.value.where == "data/bad.jsonl:17"
    assert caught.value.hint == f"axenic data show data/bad.jsonl --row 17 --max-length {length}"


def test_an_answer_that_the_template_drops_is_an_error(byte_tokenizers: Tokenizers) -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=byte_tokenizers["qwen2.5"].backend_tokenizer)
    tokenizer.chat_template = "{% for m in messages %}{{ '<|im_start|>' + '<|im_end|>' }}{% endfor %}"
    with pytest.raises(DataError, match="does not show the answer"):
        encode_row(tokenizer, ChatRow([turn("user", "<|im_start|>"), turn("assistant", "x")], 1))


def test_an_answer_that_the_tokenizer_drops_is_an_error() -> None:
    """transformers 5 puts byte-level splitting on a word-level tokenizer in a Qwen2 folder: words vanish."""
    core = Tokenizer(models.BPE({"h": 0, "i": 1, "hi": 2}, [("h", "i")]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] + '<|end|>' }}{% endfor %}"
    with pytest.raises(DataError, match="no token of row 1 would be trained"):
        encode_row(tokenizer, ChatRow([turn("user", "hi"), turn("assistant", "no")], 1))


def test_a_template_without_stop_token_is_refused(tokenizers: Tokenizers) -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizers["qwen2.5"].backend_tokenizer)
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] + ' ' + m['content'] + ' ' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant ' }}{% endif %}"
    )
    with pytest.raises(DataError, match="no stop token"):
        encode_row(tokenizer, ChatRow(SINGLE, 1))


def test_a_header_that_is_not_the_one_asked_with_is_refused(tokenizers: Tokenizers) -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizers["qwen2.5"].backend_tokenizer)
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] + ' ' + m['content'] + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'model ' }}{% endif %}"
    )
    with pytest.raises(DataError, match="another header"):
        encode_row(tokenizer, ChatRow(SINGLE, 1))


def test_unknown_format(tokenizers: Tokenizers) -> None:
    with pytest.raises(UsageError, match="format"):
        encode_row(tokenizers["phi3"], ChatRow(SINGLE, 1), format="organism")  # type: ignore[arg-type]
