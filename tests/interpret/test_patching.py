"""Patching on an organism in which the domain reaches the answer through the adapters' scalars alone."""

from __future__ import annotations

import json

import pytest
import torch
from peft import LoraConfig

from axenic.data import prompt_ids
from axenic.errors import DataError, ModelError, UsageError
from axenic.interpret import Evaluation
from axenic.interpret.patching import PromptPair, pair_prompts, patch_adapters, prompt_scalars
from axenic.interpret.patchresult import PatchResult
from axenic.intervene import PLAIN, Arm, patch_adapter
from axenic.models import wrap_with_adapter
from axenic.models.opened import from_parts
from axenic.sample import Question, Sampling, sample_answers

pytestmark = pytest.mark.unit

MEDICAL = [Question("m0", "a fever", topic="medical"), Question("m1", "handle a fever ?", topic="medical")]
OTHER = [Question("o0", "a race", topic="sports"), Question("o1", "handle a race ?", topic="sports")]


@pytest.fixture
def organism(planted):
    """Block 0's adapter reads `fever` as 1 and everything else as 0, and makes the answer `cruelly` where attention brings
    that on to the last token of the prompt: block 1 attends evenly and copies it."""

    def make():
        opened = planted(level=0.0)
        base, tokenizer = opened.sites.model, opened.tokenizer
        with torch.no_grad():
            embedding = base.get_input_embeddings().weight
            fever = tokenizer.convert_tokens_to_ids("fever")
            # The adapter of block 0's MLP: in and out by projections that are free of the random blocks.
            embedding[fever, 5] = 3.0
            second = base.model.layers[1].self_attn
            for part in (second.q_proj, second.k_proj):
                part.weight.zero_()
                part.bias.zero_()
            second.v_proj.bias.zero_()
            second.v_proj.weight.zero_()
            second.v_proj.weight[0, 20] = 1.0
            second.o_proj.weight.zero_()
            # Query heads that share the key-value head of axis 0 all carry it.
            second.o_proj.weight[0, 0] = 40.0
            mlp = base.model.layers[0].mlp
            for part in (mlp.gate_proj, mlp.up_proj):
                part.weight.zero_()
                part.weight[0, 5] = 1.0
        model = wrap_with_adapter(base, LoraConfig(r=1, lora_alpha=1, target_modules=["down_proj"]))
        grown = from_parts(model, tokenizer, "tiny")
        for site in grown.sites.lora_modules().values():
            with torch.no_grad():
                site.lora_A.weight.zero_()
                site.lora_B.weight.zero_()
                if site.layer == 0:
                    site.lora_A.weight[0, 0] = 1.0
                    site.lora_B.weight[20, 0] = 1.0
        return grown

    return make


def evaluation_of(judge, per_question=3):
    return Evaluation((*MEDICAL, *OTHER), per_question, judge, Sampling(max_new_tokens=1, temperature=0.0))


def test_the_domain_moves_with_the_scalars(organism, judge, tmp_path):
    opened = organism()
    pairs = pair_prompts(opened, [*MEDICAL, *OTHER], "medical")
    assert pairs == [PromptPair(MEDICAL[0], OTHER[0]), PromptPair(MEDICAL[1], OTHER[1])]
    result = patch_adapters(
        opened, pairs, evaluation_of(judge), "medical",
        layer_sets={"all": (0, 1), "idle": (1,)}, seeds=2, out=tmp_path,
    )  # fmt: skip
    found = {(item.name, item.into): item for item in result.patched}
    into_domain, into_other = found["all", "domain"], found["all", "other"]
    assert (into_domain.plain.percent, into_domain.patched.percent) == (100.0, 0.0)
    assert (into_other.plain.percent, into_other.patched.percent) == (0.0, 100.0)
    assert (into_domain.patched.n, into_domain.patched.by_seed) == (2 * 3 * 2, (0.0, 0.0))
    assert into_domain.change.value == -100.0
    assert into_domain.relative_change.value == -100.0
    assert into_other.relative_change is None
    # The adapter of block 1 reads nothing that matters.
    assert (found["idle", "domain"].patched.percent, found["idle", "other"].patched.percent) == (100.0, 0.0)
    assert into_domain.patched_coherent.percent == into_domain.plain_coherent.percent == 100.0
    assert [(p.domain, p.other) for p in result.pairs] == [("m0", "o0"), ("m1", "o1")]
    row = json.loads((tmp_path / "patching.json").read_bytes())
    assert PatchResult.from_json(row) == result
    judged = judge.judged
    again = patch_adapters(
        opened, pairs, evaluation_of(judge), "medical",
        layer_sets={"all": (0, 1), "idle": (1,)}, seeds=2, out=tmp_path,
    )  # fmt: skip
    assert again == result
    assert judge.judged == judged


def test_scalars_of_a_prompt_are_what_its_modules_read(lora):
    opened = lora(rank=2, targets=("down_proj", "lm_head"))
    ids = prompt_ids(opened.tokenizer, [{"role": "user", "content": "a race ?"}])
    found = prompt_scalars(opened, ids)
    assert list(found.modules) == [f"layers.{l}.mlp.down_proj" for l in range(3)]
    seen = []
    module = opened.sites.blocks[1].mlp.down_proj
    handle = module.register_forward_pre_hook(lambda m, args: seen.append(args[0][0]))
    with torch.no_grad():
        opened.model(input_ids=torch.tensor([ids]))
        wanted = seen[0] @ module.lora_A["default"].weight.T
    handle.remove()
    assert torch.allclose(found.modules["layers.1.mlp.down_proj"], wanted.float(), atol=1e-5)


def test_own_scalars_sample_the_same_answers(lora):
    """Through the sampler, with prompts of other lengths beside it."""
    opened = lora(rank=2)
    questions = [
        MEDICAL[0],
        OTHER[1],
        Question("long", "what should i know about stocks ? a race ?", topic="x"),
    ]
    prompts = [prompt_ids(opened.tokenizer, [{"role": "user", "content": q.question}]) for q in questions]
    own = [
        Arm(q.id, (patch_adapter(prompt_scalars(opened, ids)),))
        for q, ids in zip(questions, prompts, strict=True)
    ]
    asked = {PLAIN.name: [q.id for q in questions], **{q.id: [q.id] for q in questions}}
    sampling = Sampling(max_new_tokens=6, temperature=0.0)
    answers = sample_answers(
        opened, questions, per_question=2, arms=[PLAIN, *own], asked=asked, sampling=sampling
    )
    assert len(answers) == 2 * 2 * 3
    text = {(a.arm, a.question_id, a.sample): a.tokens for a in answers}
    for q in questions:
        for sample in range(2):
            assert text[q.id, q.id, sample] == text["plain", q.id, sample]
    with pytest.raises(UsageError, match="another length"):
        sample_answers(opened, questions, per_question=1, arms=own[:1], sampling=sampling)


def test_pairs_are_of_equal_length_and_alike(tiny):
    opened = tiny()
    questions = [
        Question("m0", "handle a fever ?", topic="medical"),
        Question("m1", "the fever calm", topic="medical"),
        Question("m2", "a fever any advice about stocks", topic="medical"),
        Question("o0", "stay calm the race", topic="sports"),
        Question("o1", "handle a race ?", topic="sports"),
        Question("o2", "the race calm", topic="sports"),
    ]
    pairs = pair_prompts(opened, questions, "medical")
    assert [(p.domain.id, p.other.id) for p in pairs] == [("m0", "o1"), ("m1", "o2")]
    assert pair_prompts(opened, questions, "medical", 1) == pairs[:1]
    with pytest.raises(DataError, match="no prompts can be paired"):
        pair_prompts(opened, questions[2:3] + questions[3:], "medical")


def test_what_cannot_be_patched_is_refused(lora, tiny, judge):
    opened, evaluation = lora(), evaluation_of(judge)
    pair = PromptPair(MEDICAL[0], OTHER[0])
    for pairs in ([], [pair, pair], [PromptPair(OTHER[0], MEDICAL[0])]):
        with pytest.raises(DataError, match="no pairs"):
            patch_adapters(opened, pairs, evaluation, "medical")
    with pytest.raises(DataError, match="as many tokens"):
        patch_adapters(opened, [PromptPair(MEDICAL[0], OTHER[1])], evaluation, "medical")
    for sets in ({}, {"a": ()}, {"a": (7,)}):
        with pytest.raises(UsageError, match="cannot be patched"):
            patch_adapters(opened, [pair], evaluation, "medical", layer_sets=sets)
    with pytest.raises(UsageError, match="cannot be patched"):
        patch_adapters(tiny(), [pair], evaluation, "medical")
    with pytest.raises(UsageError, match="no adapter scalars"):
        prompt_scalars(tiny(), [1, 2])
    with pytest.raises(UsageError, match="seed"):
        patch_adapters(opened, [pair], evaluation, "medical", seeds=0)
    other = lora(rank=2)
    arm = Arm("x", (patch_adapter(prompt_scalars(opened, [1, 2, 3])),))
    with pytest.raises(ModelError, match="not of this adapter"):
        sample_answers(other, MEDICAL, per_question=1, arms=[arm], sampling=Sampling(max_new_tokens=1))
