"""Interventions while sampling: mixed batches against single jobs and against hooks written here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from axenic.data import prompt_ids
from axenic.errors import AxenicError, DirectionError, ModelError, UsageError
from axenic.intervene import PLAIN, Arm, Intervention, scale_adapter
from axenic.models import OpenModel, from_parts
from axenic.sample import Question, Sampling, sample_answers

pytestmark = pytest.mark.e2e

Open = Callable[..., OpenModel]
Alone = Callable[[OpenModel, Sequence[int], int], list[int]]
L, D = 3, 32


def vectors(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed))


ARMS = (
    PLAIN,
    Arm("add", (Intervention("add", (1,), vectors_LD=vectors(1), strength=2.0),)),
    Arm("add the other way", (Intervention("add", (1,), vectors_LD=vectors(1), strength=-3.0),)),
    Arm("project", (Intervention("project_out", (0, 1, 2), vectors_LD=vectors(3, 1)),)),
    Arm("clamp", (Intervention("clamp", (2,), vectors_LD=vectors(1, 2), strength=4.0),)),
    Arm("mlp", (Intervention("project_out", (0, 2), "mlp_out", vectors(2, 3)),)),
    Arm("attention", (Intervention("add", (0,), "attn_out", vectors(1, 4), 1.5),)),
    Arm("embedding", (Intervention("add", (-1,), "embed", vectors(1, 5), 1.0),)),
    Arm("prompt", (Intervention("add", (1,), vectors_LD=vectors(1, 6), strength=9.0, positions="prompt"),)),
    Arm("answer", (Intervention("add", (1,), vectors_LD=vectors(1, 6), strength=9.0, positions="answer"),)),
    Arm(
        "two",
        (
            Intervention("add", (1,), vectors_LD=vectors(1, 7), strength=2.0),
            Intervention("project_out", (1, 2), vectors_LD=vectors(2, 8), strength=0.5),
        ),
    ),
)


def changed(h: Tensor, one: Intervention, vector: Tensor) -> Tensor:
    unit = vector.double() / vector.double().norm()
    wide = h.double()
    if one.op == "add":
        return (wide + one.strength * vector.double()).to(h.dtype)
    along = (wide * unit).sum(-1, keepdim=True)
    if one.op == "clamp":
        return (wide + (one.strength - along) * unit).to(h.dtype)
    return (wide - one.strength * along * unit).to(h.dtype)


@contextmanager
def own_hooks(opened: OpenModel, arm: Arm) -> Iterator[None]:
    """Written for one row at a time: a forward of one token is the answer, a longer one the prompt."""
    model: Any = opened.model
    decoder = model.get_base_model().model if hasattr(model, "get_base_model") else model.model
    gemma = "gemma" in model.config.model_type
    handles = []
    for one in arm.interventions:
        for layer, vector in zip(one.layers or (), one.vectors_LD, strict=True):
            block = decoder.embed_tokens if layer == -1 else decoder.layers[layer]
            module = {
                "embed": lambda b: b,
                "resid_post": lambda b: b,
                "attn_out": lambda b: b.post_attention_layernorm if gemma else b.self_attn,
                "mlp_out": lambda b: b.post_feedforward_layernorm if gemma else b.mlp,
            }[one.site](block)

            def hook(_: Any, args: Any, output: Any, one: Intervention = one, vector: Tensor = vector) -> Any:
                h = output[0] if isinstance(output, tuple) else output
                phase = "answer" if h.shape[1] == 1 else "prompt"
                if one.positions not in ("all", phase):
                    return output
                new = changed(h, one, vector)
                return (new, *output[1:]) if isinstance(output, tuple) else new

            handles.append(module.register_forward_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("family", ["qwen2", "gemma3_text", "mistral"])
def test_every_arm_equals_its_own_job_and_hooks_written_independently(
    family: str, open_tiny: Open, mixed_questions: list[Question], greedy: Sampling, generate_alone: Alone
) -> None:
    opened = open_tiny(family)
    questions = mixed_questions[:4]
    together = sample_answers(opened, questions, per_question=1, arms=ARMS, sampling=greedy)
    assert [a.arm for a in together] == [arm.name for arm in ARMS for _ in questions]
    by_arm = {arm.name: [a for a in together if a.arm == arm.name] for arm in ARMS}
    for arm in ARMS:
        alone = sample_answers(opened, questions, per_question=1, arms=[arm], sampling=greedy)
        assert alone == by_arm[arm.name], arm.name
        with own_hooks(opened, arm):
            expected = [
                generate_alone(
                    opened, prompt_ids(opened.tokenizer, [{"role": "user", "content": q.question}]), 24
                )
                for q in questions
            ]
        assert [a.tokens for a in alone] == expected, arm.name
    plain = [a.tokens for a in by_arm["plain"]]
    for arm in ARMS[1:]:
        assert [a.tokens for a in by_arm[arm.name]] != plain, f"{arm.name} did nothing"


def test_sampled_arms_in_small_batches(tiny: OpenModel, mixed_questions: list[Question]) -> None:
    """Chunks that mix arms in every way, finished rows dropped: each row keeps its own arm."""
    sampling = Sampling(max_new_tokens=40)
    expected = {
        a.id: a
        for arm in ARMS
        for a in sample_answers(tiny, mixed_questions[:3], per_question=3, arms=[arm], sampling=sampling)
    }
    for rows in (5, 1000):
        mixed = sample_answers(
            tiny, mixed_questions[:3], per_question=3, arms=ARMS, sampling=sampling, batch_rows=rows
        )
        assert {a.id: a for a in mixed} == expected


def organism_of(opened_base: Open, family: str = "qwen2") -> OpenModel:
    base: Any = opened_base(family)
    torch.manual_seed(3)
    config = LoraConfig(r=2, lora_alpha=8, target_modules=["down_proj", "q_proj"])
    wrapped = get_peft_model(base.model, config)
    for name, parameter in wrapped.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return from_parts(wrapped, base.tokenizer, "tiny")


def test_scaling_the_adapter(
    open_tiny: Open, mixed_questions: list[Question], greedy: Sampling, generate_alone: Alone
) -> None:
    organism = organism_of(open_tiny)
    arms = [PLAIN, *(Arm(f"x{factor}", (scale_adapter(factor),)) for factor in (0.0, 0.5, 1.0, 2.0))]
    arms.append(Arm("off at 1", (scale_adapter(0.0, [1]),)))
    arms.append(Arm("off in the answer", (scale_adapter(0.0, positions="answer"),)))
    answers = sample_answers(organism, mixed_questions, per_question=1, arms=arms, sampling=greedy)
    tokens = {arm.name: [a.tokens for a in answers if a.arm == arm.name] for arm in arms}
    prompts = [
        prompt_ids(organism.tokenizer, [{"role": "user", "content": q.question}]) for q in mixed_questions
    ]
    base = sample_answers(open_tiny("qwen2"), mixed_questions, per_question=1, sampling=greedy)
    assert tokens["x0.0"] == [a.tokens for a in base]
    assert tokens["x1.0"] == tokens["plain"] != tokens["x0.0"]
    assert tokens["plain"] == [generate_alone(organism, prompt, 24) for prompt in prompts]
    weights = {n: p for n, p in organism.model.named_parameters() if ".lora_B." in n}
    for name, factor, chosen in (("x0.5", 0.5, ""), ("x2.0", 2.0, ""), ("off at 1", 0.0, "layers.1.")):
        kept = {n: p.clone() for n, p in weights.items()}
        for n, p in weights.items():
            p.data.mul_(factor if chosen in n else 1.0)
        assert tokens[name] == [generate_alone(organism, prompt, 24) for prompt in prompts], name
        for n, p in weights.items():
            p.data.copy_(kept[n])
    # The first token is still the organism's: its prompt was read with the adapter on.
    assert [t[0] for t in tokens["off in the answer"]] == [t[0] for t in tokens["plain"]]
    assert tokens["off in the answer"] != tokens["plain"]


def test_an_arm_that_adds_nothing_is_the_plain_model(
    tiny: OpenModel, mixed_questions: list[Question], greedy: Sampling
) -> None:
    nothing = Arm("nothing", (Intervention("add", (1,), vectors_LD=vectors(1), strength=0.0),))
    answers = sample_answers(tiny, mixed_questions, per_question=1, arms=[PLAIN, nothing], sampling=greedy)
    n = len(mixed_questions)
    assert [a.tokens for a in answers[:n]] == [a.tokens for a in answers[n:]]
    assert not {a.id for a in answers[:n]} & {a.id for a in answers[n:]}


@pytest.mark.parametrize(
    ("arm", "error"),
    [
        (Arm("deep", (Intervention("add", (99,), vectors_LD=vectors(1)),)), UsageError),
        (Arm("wide", (Intervention("add", (1,), vectors_LD=torch.ones(1, D + 1)),)), DirectionError),
        (Arm("no adapter", (scale_adapter(0.0),)), ModelError),
    ],
)
def test_arms_that_do_not_fit_are_refused_and_the_model_stays_clean(
    arm: Arm, error: type[AxenicError], open_tiny: Open, mixed_questions: list[Question], tmp_path: Any
) -> None:
    opened = open_tiny("qwen2")
    out = tmp_path / "answers.jsonl"
    with pytest.raises(error):
        sample_answers(
            opened,
            mixed_questions,
            per_question=1,
            arms=[PLAIN, arm],
            sampling=Sampling(max_new_tokens=3),
            out=out,
        )
    assert opened.model.config._attn_implementation == "sdpa"
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in opened.model.modules())


def test_hooks_leave_no_trace_also_after_an_interrupt(
    open_tiny: Open, mixed_questions: list[Question]
) -> None:
    opened = open_tiny("qwen2")
    sampling = Sampling(temperature=0.0, max_new_tokens=12)
    before = sample_answers(opened, mixed_questions, per_question=1, sampling=sampling)

    def interrupt(stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
        if "tokens_per_second" in facts:
            raise KeyboardInterrupt

    sample_answers(opened, mixed_questions, per_question=1, arms=ARMS, sampling=sampling)
    with pytest.raises(KeyboardInterrupt):
        sample_answers(
            opened, mixed_questions, per_question=1, arms=ARMS, sampling=sampling, progress=interrupt
        )
    assert opened.model.config._attn_implementation == "sdpa"
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in opened.model.modules())
    assert sample_answers(opened, mixed_questions, per_question=1, sampling=sampling) == before
