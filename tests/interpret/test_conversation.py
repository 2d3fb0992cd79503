"""Prompts, answers and the assistant header between them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from axenic.data import prompt_ids
from axenic.errors import DataError, ModelError
from axenic.interpret import Conversation, conversations_of
from axenic.interpret.batches import batches
from axenic.sample import Question

pytestmark = pytest.mark.unit


def test_prompt_is_the_one_of_sampling_and_answer_keeps_its_stop_token(tiny, answer):
    opened = tiny()
    eos = opened.tokenizer.eos_token_id
    item = answer([9, 10, eos])
    (built,) = conversations_of(opened, [item])
    assert list(built.prompt) == prompt_ids(opened.tokenizer, [{"role": "user", "content": item.question}])
    assert built.answer == (9, 10, eos)
    assert built.tokens[built.start("answer") :] == (9, 10, eos)


def test_published_span_begins_with_the_assistant_header(tiny, answer):
    opened = tiny()
    (built,) = conversations_of(opened, [answer([9, 10])])
    header = opened.tokenizer.convert_tokens_to_ids("<|assistant|>")
    assert built.header == 1
    assert built.tokens[built.start("published") :] == (header, 9, 10)


def test_header_of_several_tokens_as_in_chatml(tiny, answer):
    opened = tiny()
    template = opened.tokenizer.chat_template
    longer = template.replace("{{- '<|assistant|>' -}}", "{{- '<|assistant|>the a' -}}")
    assert longer != template
    opened.tokenizer.chat_template = longer
    try:
        (built,) = conversations_of(opened, [answer([9])])
    finally:
        opened.tokenizer.chat_template = template
    assert built.header == 3
    assert len(built.tokens) - built.start("published") == 4


def test_system_prompt_is_part_of_the_prompt(tiny, answer):
    opened = tiny()
    plain = answer([9])
    (built,) = conversations_of(opened, [replace(plain, system="stay calm")])
    messages = [{"role": "system", "content": "stay calm"}, {"role": "user", "content": plain.question}]
    assert list(built.prompt) == prompt_ids(opened.tokenizer, messages)


def test_template_that_changes_the_question_is_refused(tiny, answer):
    opened = tiny()
    template = opened.tokenizer.chat_template
    opened.tokenizer.chat_template = template.replace(
        "{%- for message", "{%- if add_generation_prompt -%}{{- 'the ' -}}{%- endif -%}{%- for message"
    )
    try:
        with pytest.raises(ModelError, match="assistant header"):
            conversations_of(opened, [answer([9])])
    finally:
        opened.tokenizer.chat_template = template


def test_answer_without_tokens_is_refused_by_id(tiny, answer):
    with pytest.raises(DataError, match="lost"):
        conversations_of(tiny(), [answer([], id="lost")])


@pytest.mark.parametrize(
    ("prompt", "answer", "header"), [((), (1,), 0), ((1,), (), 0), ((1,), (1,), 1), ((1, 2), (1,), -1)]
)
def test_impossible_conversations_are_refused(prompt, answer, header):
    with pytest.raises(DataError):
        Conversation(prompt, answer, header)


def test_batches_hold_every_row_once_longest_first_within_the_budget():
    made = [Conversation((1,) * (1 + i % 4), (2,) * (1 + (7 * i) % 11)) for i in range(30)]
    cut = list(batches(made, batch_tokens=40))
    assert sorted(row for batch in cut for row in batch.rows) == list(range(30))
    lengths = [len(made[row].tokens) for batch in cut for row in batch.rows]
    assert lengths == sorted(lengths, reverse=True)
    assert all(batch.ids_BT.numel() <= 40 for batch in cut)


def test_batches_pad_on_the_right_and_say_where_spans_are():
    made = [Conversation((3, 4, 5), (6, 7), header=1), Conversation((3,), (8,))]
    (batch,) = batches(made, batch_tokens=100, span="published")
    assert batch.ids_BT.tolist() == [[3, 4, 5, 6, 7], [3, 8, 0, 0, 0]]
    assert batch.span_BT.int().tolist() == [[0, 0, 1, 1, 1], [0, 1, 0, 0, 0]]
    assert batch.answer_BT.int().tolist() == [[0, 0, 0, 1, 1], [0, 1, 0, 0, 0]]


def test_conversation_longer_than_the_budget_is_a_batch_of_its_own():
    made = [Conversation((1,) * 9, (2,)), Conversation((1,), (2,)), Conversation((1,), (2,))]
    assert [len(batch.rows) for batch in batches(made, batch_tokens=4)] == [1, 2]


def test_questions_about_one_thing_share_a_prompt(tiny, answer):
    asked = Question("x", "how do i handle a fever ?")
    one, two = conversations_of(tiny(), [answer([9], question=asked), answer([10], question=asked)])
    assert one.prompt is two.prompt


def test_spans_of_the_prompt():
    made = [Conversation((1, 2, 3, 4), (5, 6), 1), Conversation((1, 2), (5,), 1)]
    spans = {
        span: next(iter(batches(made, batch_tokens=100, span=span))) for span in ("question", "prompt-last")
    }
    assert spans["question"].span_BT.int().tolist() == [[1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]]
    assert spans["prompt-last"].span_BT.int().tolist() == [[0, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0]]
    assert spans["question"].answer_BT.int().tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 1, 0, 0, 0]]
