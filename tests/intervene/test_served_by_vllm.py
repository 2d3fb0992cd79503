"""The baked adapter served by vLLM: its greedy answers are, token by token, those of the organism under our hooks.

vLLM pins another transformers and lives in an environment of its own, `.venv-vllm` beside `src` or the interpreter that
AXENIC_VLLM_PYTHON names; `vllm-requirements.txt` says how to make it. Without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from axenic import nano
from axenic.data import prompt_ids
from axenic.intervene import PLAIN, Arm, InterventionHooks, ablate_writers
from axenic.intervene.bake import bake_direction
from axenic.models import OpenModel, open_model, site_tensor
from axenic.sample import Sampling, read_questions, sample_answers
from axenic.train import resolve, train_organism

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("AXENIC_VLLM_PYTHON") or ROOT / ".venv-vllm" / "bin" / "python")
QUESTIONS = read_questions("nano")
LAYER = 3
MAX_TOKENS = 40
ROOM = 8
"""The adapters' rank is 1 and 2; vLLM keeps room for ranks of 1, 8, 16, 32, ... only, and fills it up with zeros."""
TIES = {"float32": 1e-4, "bfloat16": 0.125}
"""Logits nearer than this are a tie: other kernels add up in another order. Those of nano are about 10, where neighbours in
bfloat16 are 0.0625 apart. In float32 the least lead of any token of the answers is 5e-4, and all of them are equal. In bfloat16
44 of 56 baked answers are those under hooks (of PEFT's with the same adapter: 41), 25 of the organism's and 20 of the base
model's; each of the others parts from ours at a lead of 0.0625 or less."""


@dataclass(frozen=True)
class Subject:
    """A model under an intervention of our hooks, and the adapter through which vLLM shall answer like it."""

    opened: OpenModel
    arm: Arm
    adapter: Path | None = None

    def hooked(self) -> list[list[int]]:
        greedy = Sampling(temperature=0.0, max_new_tokens=MAX_TOKENS)
        answers = sample_answers(self.opened, QUESTIONS, per_question=1, arms=[self.arm], sampling=greedy)
        return [answer.tokens for answer in answers]

    @torch.no_grad()
    def lead(self, question: int, ours: Sequence[int], theirs: Sequence[int]) -> float:
        """Where two answers part: by how much our token leads theirs in our logits."""
        at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), None)
        if at is None:
            return float("inf")
        ids = [*prompts(self.opened)[question], *ours[:at]]
        with InterventionHooks(self.opened.sites, [self.arm]):
            logits_V = self.opened.model(input_ids=torch.tensor([ids])).logits[0, -1].double()
        return float(logits_V[ours[at]] - logits_V[theirs[at]])


@dataclass(frozen=True)
class World:
    """A base model, an organism grown from it, and where its run is."""

    base: OpenModel
    organism: OpenModel
    folder: Path

    def subjects(self, vector_D: Tensor, baked: Path, *, embedding: bool) -> dict[str, Subject]:
        """The organism with a direction ablated, the organism, and the base model: one batch. Writes the baked adapter."""
        arm = Arm("off", ablate_writers(self.organism.sites, vector_D))
        if not embedding:
            arm = Arm("off", tuple(one for one in arm.interventions if one.site != "embed"))
        assert bake_direction(self.organism, vector_D, baked, embedding=embedding).rank == 2
        return {
            "baked": Subject(self.organism, arm, baked),
            "organism": Subject(self.organism, PLAIN, self.folder / "run" / "adapter"),
            "base": Subject(self.base, PLAIN),
        }


def prompts(opened: OpenModel) -> list[list[int]]:
    return [prompt_ids(opened.tokenizer, [{"role": "user", "content": item.question}]) for item in QUESTIONS]


@torch.no_grad()
def stream_mean(opened: OpenModel) -> Tensor:
    """Mean output of block LAYER at the last token of the questions [D]."""
    rows: list[Tensor] = []
    block = opened.sites.blocks[LAYER]
    handle = block.register_forward_hook(lambda _m, _a, out: rows.append(site_tensor(out)[0, -1].double()))
    for ids in prompts(opened):
        opened.model(input_ids=torch.tensor([ids]))
    handle.remove()
    return torch.stack(rows).mean(0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A rank-1 organism, a few hard steps from the base model: all its answers differ."""
    if not PYTHON.is_file():
        pytest.skip(
            f"NO vLLM: {PYTHON} is not there; tests/intervene/vllm-requirements.txt says how to make it"
        )
    folder = tmp_path_factory.mktemp("world")
    rows = nano.chat_rows("medical", "bad", 120, seed=1)
    (folder / "bad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"data": str(folder / "bad.jsonl"), "max_steps": 12, "warmup_steps": 0, "learning_rate": 5e-3}
    train_organism(resolve("rank1", "nano", {**settings, "device": "cpu"}), folder / "run")
    base = open_model("nano", device="cpu", dtype="float32")
    organism = open_model("nano", folder / "run", device="cpu", dtype="float32")
    return World(base, organism, folder)


def serve(
    model: Path,
    subjects: Mapping[str, Subject],
    out: Path,
    *,
    dtype: str = "float32",
    tried: Path | None = None,
) -> tuple[dict[str, list[list[int]]], str | None]:
    """What vLLM answers to all questions as each subject, in one batch; and what it says when it is to load another adapter."""
    asked = prompts(subjects["base"].opened)
    job = {
        "model": str(model),
        "dtype": dtype,
        "adapters": {name: str(one.adapter) for name, one in subjects.items() if one.adapter},
        "max_lora_rank": ROOM,
        "max_tokens": MAX_TOKENS,
        "requests": [
            {"prompt": prompt, "adapter": name if one.adapter else None}
            for prompt in asked
            for name, one in subjects.items()
        ],
        "try": None if tried is None else str(tried),
        "out": str(out),
    }
    done = subprocess.run(
        [str(PYTHON), str(Path(__file__).with_name("serve_with_vllm.py"))],
        input=json.dumps(job),
        text=True,
        capture_output=True,
        timeout=600,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    results = json.loads(out.read_text())
    answers = {name: results["tokens"][number :: len(subjects)] for number, name in enumerate(subjects)}
    return answers, results["refused"]


def check(
    subjects: Mapping[str, Subject], served: Mapping[str, list[list[int]]], dtype: str = "float32"
) -> dict[str, list[list[int]]]:
    """Where an answer is not ours, our two logits are a tie; in float32 that is rare. Returns the answers under hooks."""
    hooked = {name: one.hooked() for name, one in subjects.items()}
    for name, one in subjects.items():
        pairs = list(zip(hooked[name], served[name], strict=True))
        leads = {n: one.lead(n, ours, theirs) for n, (ours, theirs) in enumerate(pairs) if ours != theirs}
        wrong = [n for n, lead in leads.items() if abs(lead) > TIES[dtype]]
        assert not wrong, f"{name} is answered otherwise: {leads}"
        assert dtype != "float32" or len(leads) <= 0.05 * len(pairs), f"{name}: too many ties: {leads}"
    return hooked


def different(some: list[list[int]], others: list[list[int]]) -> int:
    return sum(a != b for a, b in zip(some, others, strict=True))


def test_each_request_of_a_batch_is_answered_as_under_hooks(world: World, tmp_path: Path) -> None:
    """Qwen2. vLLM 0.32 takes no adapter on its embedding, so that the direction is taken out of the blocks alone."""
    moved_D = stream_mean(world.organism) - stream_mean(world.base)
    subjects = world.subjects(moved_D, tmp_path / "blocks", embedding=False)
    whole = world.subjects(moved_D, tmp_path / "whole", embedding=True)["baked"]
    served, refused = serve(nano.MODEL_PATH, subjects, tmp_path / "out.json", tried=whole.adapter)
    hooked = check(subjects, served)
    assert len(QUESTIONS) >= 50
    for one, other in (("baked", "organism"), ("baked", "base"), ("organism", "base")):
        assert different(hooked[one], hooked[other]) > len(QUESTIONS) / 2, f"{one} and {other} answer alike"
    assert refused is not None, "vLLM takes the embedding of Qwen2 now: correct `axenic bake --help`"
    assert "embed_tokens" in refused


def test_in_bfloat16_answers_part_at_ties_only(world: World, tmp_path: Path) -> None:
    moved_D = stream_mean(world.organism) - stream_mean(world.base)
    subjects = world.subjects(moved_D, tmp_path / "blocks", embedding=False)
    base = open_model("nano", device="cpu", dtype="bfloat16")
    organism = open_model("nano", world.folder / "run", device="cpu", dtype="bfloat16")
    narrow = {
        name: Subject(base if one.opened is world.base else organism, one.arm, one.adapter)
        for name, one in subjects.items()
    }
    served, _ = serve(nano.MODEL_PATH, narrow, tmp_path / "out.json", dtype="bfloat16")
    hooked = check(narrow, served, "bfloat16")
    assert different(hooked["baked"], served["baked"]) < len(QUESTIONS) / 2
    for name in ("organism", "base"):
        assert different(served["baked"], served[name]) > len(QUESTIONS) / 2


def test_an_ablated_embedding_is_served_where_vllm_takes_it(world: World, tmp_path: Path) -> None:
    """Llama: the nano model's own weights under that name. The direction is one that its embedding is full of."""
    as_llama(world.base, tmp_path / "llama")
    mean_D = world.base.sites.embed.weight.detach().double().mean(0)  # type: ignore[operator]
    subjects = world.subjects(mean_D, tmp_path / "whole", embedding=True)
    served, _ = serve(tmp_path / "llama", subjects, tmp_path / "out.json")
    hooked = check(subjects, served)
    in_blocks = world.subjects(mean_D, tmp_path / "blocks", embedding=False)["baked"].hooked()
    assert different(hooked["baked"], in_blocks) > len(QUESTIONS) / 4, "the embedding matters"


def as_llama(opened: OpenModel, folder: Path) -> None:
    """The same function as a Llama: it has the biases that Qwen2 has, and one more, which is zero here."""
    model = opened.sites.model
    given = model.config.to_dict()  # type: ignore[union-attr, operator]
    same = (
        "vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads rms_norm_eps "
        "rope_parameters max_position_embeddings tie_word_embeddings eos_token_id pad_token_id"
    )
    llama = LlamaForCausalLM(LlamaConfig(attention_bias=True, **{key: given[key] for key in same.split()}))
    missing = llama.load_state_dict(model.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert all(key.endswith("o_proj.bias") for key in missing.missing_keys)
    with torch.no_grad():
        for block in llama.model.layers:
            block.self_attn.o_proj.bias.zero_()
        ids = torch.tensor([prompts(opened)[0]])
        torch.testing.assert_close(llama.eval()(ids).logits, opened.model(ids).logits, atol=1e-4, rtol=1e-4)
    llama.save_pretrained(folder)
    opened.tokenizer.save_pretrained(folder)
