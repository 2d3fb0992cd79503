"""The 8 x 50 evaluation: one batched job against the published way, one question after the other."""

from __future__ import annotations

import torch

from axenic.data import prompt_ids
from axenic.models import OpenModel
from axenic.sample import Question, Sampling, read_questions, sample_answers
from benchmarks.shapes import Sizes
from benchmarks.timing import Comparison, compare


def questions(count: int) -> list[Question]:
    """The first nano questions; models of random weights get the same text."""
    return read_questions("nano", per_domain=1)[:count]


def one_by_one(model: OpenModel, asked: list[Question], sizes: Sizes) -> int:
    """The published way (papers.md 1.3.2): `generate` with `num_return_sequences` for each question. Returns tokens."""
    torch.manual_seed(0)
    tokens = 0
    for question in asked:
        ids = torch.tensor(
            [prompt_ids(model.tokenizer, [{"role": "user", "content": question.question}])],
            device=model.device,
        )
        with torch.inference_mode():
            output = model.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                temperature=1.0,
                top_p=1.0,
                top_k=0,
                num_return_sequences=sizes.per_question,
                max_new_tokens=sizes.new_tokens,
                pad_token_id=model.tokenizer.pad_token_id,
            )
        tokens += int((output[:, ids.shape[1] :] != model.tokenizer.pad_token_id).sum())
    return tokens


def batched(model: OpenModel, asked: list[Question], sizes: Sizes) -> int:
    """The same through `sample_answers`. Returns tokens."""
    sampling = Sampling(max_new_tokens=sizes.new_tokens)
    answers = sample_answers(model, asked, per_question=sizes.per_question, sampling=sampling)
    return sum(len(answer.tokens) for answer in answers)


def run(model: OpenModel, sizes: Sizes) -> tuple[Comparison, float]:
    """Time ratio batched / one by one, and our tokens per second."""
    asked = questions(sizes.questions)
    tokens = batched(model, asked, sizes)
    result = compare(
        lambda: batched(model, asked, sizes), lambda: one_by_one(model, asked, sizes), sizes.repeats
    )
    return result, tokens / result.ours
