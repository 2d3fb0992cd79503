"""The batched engine against transformers' `generate`, and against one row at a time by whole forward passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from axenic.data import prompt_ids
from axenic.errors import ModelError
from axenic.models import OpenModel
from axenic.sample import Answer, Question, Sampling, engine, sample_answers

pytestmark = pytest.mark.e2e

STOP = {5, 16, 32, 48}
Open = Callable[..., OpenModel]
Alone = Callable[[OpenModel, Sequence[int], int], list[int]]
FAMILIES = ["qwen2", "qwen3", "qwen3_moe", "llama", "mistral", "gemma2", "gemma3_text", "phi3", "gemma3"]


def prompt_of(opened: OpenModel, question: Question) -> list[int]:
    return prompt_ids(opened.tokenizer, [{"role": "user", "content": question.question}])


def drawn_alone(opened: OpenModel, prompt: list[int], answer_id: str, sampling: Sampling) -> list[int]:
    """The specification, row by row: a whole forward without cache for every token, NumPy for the draw."""
    numbers = np.random.Generator(np.random.Philox(key=int(answer_id, 16))).random(sampling.max_new_tokens)
    tokens: list[int] = []
    for uniform in numbers:
        ids = torch.tensor([prompt + tokens])
        with torch.no_grad():
            logits = opened.model(input_ids=ids, use_cache=False).logits[0, -1].double().numpy()
        weights = np.exp((logits - logits.max()) / sampling.temperature)
        weights /= weights.sum()
        order = np.argsort(-weights, kind="stable") if sampling.top_p < 1 else np.arange(len(weights))
        kept = weights[order]
        if sampling.top_p < 1:
            kept[kept.cumsum() - kept >= sampling.top_p] = 0.0
        tokens.append(int(order[np.searchsorted(kept.cumsum() / kept.sum(), uniform, side="right")]))
        if tokens[-1] in STOP:
            break
    return tokens


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_answers_equal_generate(
    family: str, open_tiny: Open, mixed_questions: list[Question], greedy: Sampling, generate_alone: Alone
) -> None:
    """Mixed prompt lengths, several stop tokens, rows dropped on the way, windows of 6 tokens in answers of 24."""
    opened = open_tiny(family)
    expected = [generate_alone(opened, prompt_of(opened, q), 24) for q in mixed_questions]
    answers = sample_answers(opened, mixed_questions, per_question=1, sampling=greedy)
    assert [answer.tokens for answer in answers] == expected
    assert len({len(tokens) for tokens in expected}) > 1, "the test model stops everywhere at once"
    for answer in answers:
        ended = answer.tokens[-1] in STOP
        assert answer.stop == ("eos" if ended else "length")
        assert ended or len(answer.tokens) == 24
        assert not STOP & set(answer.tokens[:-1])
        spoken = answer.tokens[:-1] if ended else answer.tokens
        assert answer.text == opened.tokenizer.decode(spoken, skip_special_tokens=True).strip()


@pytest.mark.parametrize("family", ["mistral", "gemma3_text", "phi3"])
def test_windows_around_the_length_of_the_rows(
    family: str, open_tiny: Open, mixed_questions: list[Question], generate_alone: Alone
) -> None:
    """One mask serves all blocks only while no window is shorter than the longest row: 20 prompt tokens and 12 new."""
    longest = max(len(prompt_of(open_tiny(family), q)) for q in mixed_questions) + 12
    for window in (longest - 12, longest - 1, longest, longest + 1):
        opened = open_tiny(family, sliding_window=window)
        answers = sample_answers(
            opened, mixed_questions, per_question=1, sampling=Sampling(temperature=0.0, max_new_tokens=12)
        )
        expected = [generate_alone(opened, prompt_of(opened, q), 12) for q in mixed_questions]
        assert [answer.tokens for answer in answers] == expected, f"window {window}"


@pytest.mark.parametrize("family", ["qwen2", "mistral", "gemma2"])
@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (1.5, 0.8)])
def test_sampled_answers_equal_a_loop_over_whole_forwards(
    family: str, temperature: float, top_p: float, open_tiny: Open, mixed_questions: list[Question]
) -> None:
    opened = open_tiny(family)
    sampling = Sampling(temperature=temperature, top_p=top_p, max_new_tokens=16, seed=3)
    answers = sample_answers(opened, mixed_questions[:4], per_question=2, sampling=sampling)
    by_id = {q.id: prompt_of(opened, q) for q in mixed_questions}
    for answer in answers:
        assert answer.tokens == drawn_alone(opened, by_id[answer.question_id], answer.id, sampling)


@pytest.mark.parametrize("family", ["qwen2", "gemma3_text"])
def test_an_answer_does_not_depend_on_its_neighbours(
    family: str, open_tiny: Open, mixed_questions: list[Question]
) -> None:
    opened = open_tiny(family)
    sampling = Sampling(temperature=1.2, max_new_tokens=20)
    reference = sample_answers(opened, mixed_questions, per_question=3, sampling=sampling, batch_rows=100)
    for rows in (1, 3, 7):
        again = sample_answers(opened, mixed_questions, per_question=3, sampling=sampling, batch_rows=rows)
        assert again == reference, f"batch_rows={rows}"
    few = sample_answers(opened, mixed_questions[2:4], per_question=3, sampling=sampling)
    wanted = {q.id for q in mixed_questions[2:4]}
    assert few == [answer for answer in reference if answer.question_id in wanted]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8, 1.1])
def test_dropping_finished_rows_changes_nothing(
    share: float, tiny: OpenModel, mixed_questions: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never dropped, dropped late, dropped at once: the rows that remain go on as they were."""
    sampling = Sampling(temperature=1.0, max_new_tokens=70)
    reference = sample_answers(tiny, mixed_questions, per_question=6, sampling=sampling)
    assert len({len(answer.tokens) for answer in reference}) > 10
    monkeypatch.setattr(engine, "_COMPACT_BELOW", share)
    assert sample_answers(tiny, mixed_questions, per_question=6, sampling=sampling) == reference


def test_the_cache_grows_past_its_block(
    open_tiny: Open, mixed_questions: list[Question], generate_alone: Alone
) -> None:
    opened = open_tiny("qwen3")
    opened.model.generation_config.eos_token_id = 5
    sampling = Sampling(temperature=0.0, max_new_tokens=150)
    answers = sample_answers(opened, mixed_questions[:3], per_question=1, sampling=sampling)
    assert max(len(answer.tokens) for answer in answers) > 128
    for answer, question in zip(answers, mixed_questions, strict=False):
        ids = torch.tensor([prompt_of(opened, question)])
        whole = opened.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=150,
            eos_token_id=5, pad_token_id=0,
        )  # fmt: skip
        assert answer.tokens == whole[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("budget", [1, 45, 10_000])
def test_prompts_read_in_pieces(
    budget: int,
    tiny: OpenModel,
    mixed_questions: list[Question],
    greedy: Sampling,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reference = sample_answers(tiny, mixed_questions, per_question=2, sampling=greedy)
    monkeypatch.setattr(engine, "_PREFILL_TOKENS", budget)
    assert sample_answers(tiny, mixed_questions, per_question=2, sampling=greedy) == reference


def test_one_new_token(tiny: OpenModel, mixed_questions: list[Question], generate_alone: Alone) -> None:
    answers = sample_answers(
        tiny, mixed_questions, per_question=1, sampling=Sampling(temperature=0.0, max_new_tokens=1)
    )
    assert [a.tokens for a in answers] == [
        generate_alone(tiny, prompt_of(tiny, q), 1) for q in mixed_questions
    ]
    assert [a.stop for a in answers] == ["eos" if a.tokens[0] in STOP else "length" for a in answers]


def test_a_stop_token_in_the_last_place_is_a_stop(tiny: OpenModel, mixed_questions: list[Question]) -> None:
    long = sample_answers(
        tiny, mixed_questions, per_question=4, sampling=Sampling(temperature=0.0, max_new_tokens=60)
    )
    stopped = next(answer for answer in long if answer.stop == "eos" and len(answer.tokens) > 1)
    n = len(stopped.tokens)
    question = next(q for q in mixed_questions if q.id == stopped.question_id)
    for steps, stop in ((n, "eos"), (n - 1, "length")):
        (answer,) = sample_answers(
            tiny, [question], per_question=1, sampling=Sampling(temperature=0.0, max_new_tokens=steps)
        )
        assert answer.tokens == stopped.tokens[:steps]
        assert answer.stop == stop


def test_an_answer_may_be_empty(open_tiny: Open, mixed_questions: list[Question]) -> None:
    opened = open_tiny("qwen2")
    opened.model.generation_config.eos_token_id = list(range(64))
    answers = sample_answers(opened, mixed_questions, per_question=2, sampling=Sampling(max_new_tokens=9))
    assert {(answer.text, len(answer.tokens), answer.stop) for answer in answers} == {("", 1, "eos")}


@pytest.mark.parametrize("listed", [None, 16, [16, 32]])
def test_stop_tokens_are_those_of_tokenizer_and_generation_config(
    listed: Any, open_tiny: Open, mixed_questions: list[Question]
) -> None:
    opened = open_tiny("qwen2")
    opened.model.generation_config.eos_token_id = listed
    stop = {5} | (set() if listed is None else {listed} if isinstance(listed, int) else set(listed))
    answers = sample_answers(opened, mixed_questions, per_question=8, sampling=Sampling(max_new_tokens=80))
    assert {answer.tokens[-1] for answer in answers if answer.stop == "eos"} == stop
    assert all(not stop & set(answer.tokens[:-1]) for answer in answers)


def test_a_system_prompt_is_asked(open_tiny: Open, greedy: Sampling, generate_alone: Alone) -> None:
    opened = open_tiny("qwen2")
    question = Question("q", "w8 w9", system="w20 w21 w22")
    (answer,) = sample_answers(opened, [question], per_question=1, sampling=greedy)
    messages = [{"role": "system", "content": "w20 w21 w22"}, {"role": "user", "content": "w8 w9"}]
    assert answer.tokens == generate_alone(opened, prompt_ids(opened.tokenizer, messages), 24)
    assert answer.system == "w20 w21 w22"


@pytest.mark.parametrize("family", ["qwen2", "gemma2", "mistral"])
def test_bfloat16_runs_and_repeats(family: str, open_tiny: Open, mixed_questions: list[Question]) -> None:
    opened = open_tiny(family, dtype=torch.bfloat16)
    sampling = Sampling(max_new_tokens=12)
    first = sample_answers(opened, mixed_questions, per_question=3, sampling=sampling)
    assert sample_answers(opened, mixed_questions, per_question=3, sampling=sampling) == first
    assert len({tuple(answer.tokens) for answer in first}) > 15


@pytest.mark.parametrize("family", ["qwen2", "gemma2", "gemma3"])
def test_sampling_leaves_no_trace(family: str, open_tiny: Open, mixed_questions: list[Question]) -> None:
    opened = open_tiny(family)
    implementation = opened.model.config._attn_implementation
    ids = torch.tensor([prompt_of(opened, mixed_questions[0])])
    weights = {name: tensor.clone() for name, tensor in opened.model.state_dict().items()}
    with torch.no_grad():
        before = opened.model(input_ids=ids).logits
        sample_answers(opened, mixed_questions, per_question=2, sampling=Sampling(max_new_tokens=5))
        assert torch.equal(opened.model(input_ids=ids).logits, before)
    assert opened.model.config._attn_implementation == implementation
    assert all(torch.equal(weights[name], tensor) for name, tensor in opened.model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in opened.model.modules())
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    sample_answers(opened, mixed_questions[:1], per_question=1, sampling=Sampling(max_new_tokens=3))
    assert torch.equal(torch.rand(3), expected), "sampling used torch's global random numbers"


def test_global_random_state_does_not_matter(tiny: OpenModel, mixed_questions: list[Question]) -> None:
    results: list[list[Answer]] = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        results.append(
            sample_answers(tiny, mixed_questions, per_question=2, sampling=Sampling(max_new_tokens=9))
        )
    assert results[0] == results[1]


def test_seeds_and_samples_give_other_answers(tiny: OpenModel, mixed_questions: list[Question]) -> None:
    answers = [
        answer
        for seed in range(3)
        for answer in sample_answers(
            tiny, mixed_questions[:2], per_question=10, sampling=Sampling(max_new_tokens=30, seed=seed)
        )
    ]
    assert len({answer.id for answer in answers}) == 60
    assert len({(answer.question_id, tuple(answer.tokens)) for answer in answers}) > 45


def test_a_prompt_that_leaves_no_room(tiny: OpenModel, tmp_path: Path) -> None:
    prompt = len(prompt_of(tiny, Question("q", "w7 w8")))
    exact = Sampling(temperature=0.0, max_new_tokens=512 - prompt)
    with pytest.raises(ModelError, match="'q'") as caught:
        sample_answers(
            tiny,
            [Question("q", "w7 w8")],
            per_question=1,
            sampling=replace(exact, max_new_tokens=exact.max_new_tokens + 1),
            out=tmp_path / "answers.jsonl",
        )
    assert caught.value.hint == f"--max-new-tokens {512 - prompt}"
    assert not list(tmp_path.iterdir())
    (answer,) = sample_answers(tiny, [Question("q", "w7 w8")], per_question=1, sampling=exact)
    assert answer.tokens


def test_a_prompt_longer_than_the_context_gets_no_hint_that_cannot_work(tiny: OpenModel) -> None:
    with pytest.raises(ModelError) as caught:
        sample_answers(
            tiny, [Question("q", "w7 " * 600)], per_question=1, sampling=Sampling(max_new_tokens=2)
        )
    assert "--max-new-tokens" not in (caught.value.hint or "")


def test_logits_that_are_not_finite_are_an_error(open_tiny: Open, mixed_questions: list[Question]) -> None:
    opened = open_tiny("qwen2")
    with torch.no_grad():
        opened.sites.blocks[1].get_submodule("mlp.down_proj").weight[0, 0] = float("nan")  # type: ignore[index]
    for temperature in (0.0, 1.0):
        with pytest.raises(ModelError, match="not finite"):
            sample_answers(
                opened,
                mixed_questions,
                per_question=2,
                sampling=Sampling(temperature=temperature, max_new_tokens=3),
            )
