"""Scaled behaviour along a trajectory: what is asked, whether it is the checkpoint's own answer, and what is refused."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig

from axenic.errors import DataError, FileError, ModelError, UsageError
from axenic.evaluate import Score, Thresholds, Verdict
from axenic.files import TensorStack, write_json
from axenic.interpret.evaluation import Evaluation
from axenic.interpret.scaled import ScaledBehaviour, chosen_steps, scaled_behaviour
from axenic.intervene import PLAIN
from axenic.intervene.factors import short_name
from axenic.models import find_sites, wrap_with_adapter
from axenic.models.opened import from_parts
from axenic.sample import Question, Sampling, read_answers, sample_answers

pytestmark = pytest.mark.unit

QUESTIONS = tuple(
    Question(f"q{i}", text) for i, text in enumerate(("how are you", "what now", "who is there"))
)
STEPS = [0, 5, 10, 15, 18]


class LengthJudge:
    """Misaligned where the answer has an odd number of words; a judge needs no meaning here."""

    name, fingerprint, metrics = "length", "length-1", ("alignment", "coherence")

    def judge(self, items):
        return [self.verdict(answer) for _, answer in items]

    def verdict(self, answer):
        even, third = len(answer.split()) % 2 == 0, len(answer) % 3 == 0
        return Verdict(
            {"alignment": Score(40.0 if even else 10.0), "coherence": Score(35.0 if third else 95.0)}
        )


@pytest.fixture
def run(tiny, tmp_path):
    """An organism with an adapter of rank 2 on two kinds of modules, and a trajectory of five steps beside it."""
    base = tiny(dtype=torch.float32)
    config = LoraConfig(r=2, lora_alpha=8, use_rslora=True, target_modules=["down_proj", "v_proj"])
    opened = from_parts(wrap_with_adapter(base.model, config), base.tokenizer, "tiny")
    loras = {short_name(lora): lora for lora in opened.sites.lora_modules().values()}
    shapes = {
        f"{name}.{f}": tuple(getattr(lora, f"lora_{f}").weight.shape)
        for name, lora in loras.items()
        for f in "AB"
    }
    scale = next(iter(loras.values())).scale
    stack = TensorStack.create(
        tmp_path / "trajectory.safetensors",
        shapes,
        STEPS,
        {"kind": "adapter_trajectory", "scale": repr(scale)},
    )
    generator = torch.Generator().manual_seed(0)
    for step in STEPS:
        stack.write(
            step,
            {
                name: (step if name.endswith("B") else 10) * 0.03 * torch.randn(shape, generator=generator)
                for name, shape in shapes.items()
            },
        )
    write_json(tmp_path / "train.json", {"base_fingerprint": opened.identity.base})
    return opened, tmp_path


def evaluation(**changes):
    sampling = Sampling(max_new_tokens=6, temperature=0.0)
    return replace(Evaluation(QUESTIONS, 2, LengthJudge(), sampling), **changes)


def test_answers_are_those_of_the_checkpoint_itself(run):
    """Greedy answers of arm (t, s) are those of an organism whose weights really are A_t and s B_t."""
    opened, folder = run
    result = scaled_behaviour(opened, folder, evaluation(per_question=1), factors=(1, 4), out=folder)
    said = {
        (answer.arm, answer.question_id): answer.tokens
        for answer in read_answers(folder / "scaled" / "answers.jsonl")
    }
    steps, tensors = TensorStack.open(folder / "trajectory.safetensors").read()
    different = set()
    for row, step in enumerate(steps):
        for factor in (1, 4):
            other = copy.deepcopy(opened.model)
            with torch.no_grad():
                for lora in find_sites(other).lora_modules().values():
                    lora.lora_A.weight.copy_(tensors[f"{short_name(lora)}.A"][row])
                    lora.lora_B.weight.copy_(factor * tensors[f"{short_name(lora)}.B"][row])
            really = sample_answers(
                from_parts(other, opened.tokenizer, "tiny"),
                QUESTIONS,
                per_question=1,
                arms=(PLAIN,),
                sampling=Sampling(max_new_tokens=6, temperature=0.0),
            )
            for answer in really:
                assert said[f"step {step} x {factor}", answer.question_id] == answer.tokens
                different.add(tuple(answer.tokens))
    assert len(different) > 6
    assert [point.step for point in result.curves[0].points] == STEPS


def test_rates_are_counted_by_step_and_factor(run):
    opened, folder = run
    settings = evaluation(sampling=Sampling(max_new_tokens=6, seed=3), per_question=4)
    result = scaled_behaviour(opened, folder, settings, factors=(1, 8), out=folder)
    judge = LengthJudge()
    answers = read_answers(folder / "scaled" / "answers.jsonl")
    for curve in result.curves:
        for point in curve.points:
            own = [a for a in answers if a.arm == f"step {point.step} x {curve.factor:g}"]
            verdicts = judge.judge([(a.question, a.text) for a in own])
            assert point.em.n == 12 == len(own)
            assert point.em.count == sum(Thresholds().em(verdict) for verdict in verdicts)
            assert point.coherent.count == sum(Thresholds().coherent(verdict) for verdict in verdicts)
        assert len(curve.rolling) == len(curve.points)
    bounds = {(row.alignment, row.coherence) for row in result.robustness}
    assert bounds == {(a, 50.0) for a in (30, 40, 50, 60, 70)} | {(30.0, c) for c in (10, 20, 30, 40, 50)}
    assert len(result.robustness) == 2 * 9


def test_there_and_back(run):
    opened, folder = run
    result = scaled_behaviour(opened, folder, evaluation(), factors=(1, 5), every=10, out=folder)
    assert [point.step for point in result.curves[0].points] == [0, 10, 18]
    row = json.loads((folder / "scaled.json").read_text())
    assert row["kind"] == "scaled"
    assert row == result.to_json()
    assert ScaledBehaviour.from_json(row) == result
    with pytest.raises(DataError, match="another kind"):
        ScaledBehaviour.from_json({"kind": "phase"})


def test_cut_short_and_repeated_it_does_what_is_missing(run):
    opened, folder = run
    whole = scaled_behaviour(opened, folder, evaluation(), factors=(1, 5), out=folder)
    answers, scores = folder / "scaled" / "answers.jsonl", folder / "scaled" / "scores.jsonl"
    before = answers.read_bytes()
    answers.write_bytes(b"".join(before.splitlines(keepends=True)[:20]))
    scores.unlink()
    told = []
    again = scaled_behaviour(
        opened,
        folder,
        evaluation(),
        factors=(1, 5),
        out=folder,
        progress=lambda stage, done, *rest, **facts: told.append((stage, done)),
    )
    assert told[0] == ("sample", 20)
    assert again == whole
    assert answers.read_bytes() == before


def test_chosen_steps():
    assert chosen_steps([0, 1, 2, 3, 4], None, 24) == [0, 1, 2, 3, 4]
    assert chosen_steps(list(range(0, 101, 5)), 10, 24) == list(range(0, 101, 10))
    found = chosen_steps(list(range(101)), None, 5)
    assert found == [0, 25, 50, 75, 100]
    assert chosen_steps([0, 3, 6, 8], 3, 2) == [0, 8]
    with pytest.raises(UsageError):
        chosen_steps([0, 1], None, 1)
    with pytest.raises(DataError):
        chosen_steps([0], None, 5)


def test_runs_that_cannot_be_measured(run, tiny, tmp_path_factory):
    opened, folder = run
    for factors in ((), (1, 1)):
        with pytest.raises(UsageError):
            scaled_behaviour(opened, folder, evaluation(), factors=factors)
    with pytest.raises(ModelError, match="another scale"):
        scaled_behaviour(tiny(dtype=torch.float32), folder, evaluation())
    write_json(folder / "train.json", {"base_fingerprint": "other"})
    with pytest.raises(ModelError, match="another base"):
        scaled_behaviour(opened, folder, evaluation())
    full = tmp_path_factory.mktemp("full")
    TensorStack.create(
        full / "trajectory.safetensors", {"rest.delta": (4,)}, [0, 1], {"kind": "weight_sketch"}
    )
    with pytest.raises(FileError, match="full fine-tune") as caught:
        scaled_behaviour(opened, full, evaluation())
    assert "--scales" in caught.value.hint
    with pytest.raises(FileError, match="no trajectory"):
        scaled_behaviour(opened, tmp_path_factory.mktemp("none"), evaluation())
