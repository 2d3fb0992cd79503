"""Kept states of the KL term's reference: the reference run anew, the same run after a stop, and when they are not kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.utils.operations import convert_outputs_to_fp32
from peft import LoraConfig
from torch import Tensor

from axenic.data import Encoded, collate_rows
from axenic.errors import SelfTestError
from axenic.files import read_json
from axenic.models import VectorConfig, add_vectors, tiny_model, wrap_with_adapter
from axenic.train import states as states_file
from axenic.train import train_organism
from axenic.train.kl import KLTerm, kl_sum
from axenic.train.organism import Organism
from axenic.train.processes import Processes
from axenic.train.schedule import Schedule
from axenic.train.states import ReferenceStates, states_bytes, why_not_kept
from axenic.train.trainer import OrganismTrainer

from .conftest import MakeConfig, bytes_of, write_chat
from .test_families import Stopped, stop_after_two

unit = pytest.mark.unit
e2e = pytest.mark.e2e

CPU = torch.device("cpu")
WAYS = ["lora", "lora on the head", "trained embeddings", "vector", "full"]


def make_rows(*lengths: int) -> list[Encoded]:
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randint(3, 60, (length,), generator=generator).tolist() for length in lengths]
    return [Encoded(ids, [-100] * len(ids)) for ids in drawn]


ROWS = make_rows(9, 4, 12, 7, 5, 3, 11)


def moved_organism(way: str, family: str = "qwen2", dtype: torch.dtype = torch.float64) -> Organism:
    """An organism away from its base model."""
    base: Any = tiny_model(family).to(dtype)
    if way == "vector":
        where = VectorConfig("resid_post", (1,), 1.0, None, None)
        base.requires_grad_(False)
        add_vectors(base, where)
        organism = Organism(base, None, vector_config=where)
    elif way == "full":
        organism = Organism(base, None)
    else:
        targets = ["down_proj", "lm_head"] if way == "lora on the head" else ["down_proj"]
        saved = ["embed_tokens", "lm_head"] if way == "trained embeddings" else None
        config = LoraConfig(r=2, target_modules=targets, modules_to_save=saved)
        organism = Organism(wrap_with_adapter(base, config), config)
    organism.keep_reference()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in organism.trained().values():
            p.add_(0.1 * torch.randn(p.shape, generator=generator, dtype=torch.float64))
    return organism


def states_of(organism: Organism, rows: list[Encoded] = ROWS, batch: int = 3) -> ReferenceStates:
    return ReferenceStates(organism, rows, batch, 0)


def inputs_of(numbers: list[int]) -> dict[str, Tensor]:
    batch = collate_rows([ROWS[i] for i in numbers], 0)
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


def loss_and_gradients(organism: Organism, reference_BTV: Tensor, numbers: list[int]) -> list[Tensor]:
    inputs = inputs_of(numbers)
    value = kl_sum(organism.model(**inputs).logits, reference_BTV, inputs["attention_mask"])
    return [value.detach(), *torch.autograd.grad(value, list(organism.trained().values()), allow_unused=True)]


@unit
@pytest.mark.parametrize("way", WAYS)
def test_kept_states_give_the_loss_and_gradients_of_a_reference_run_anew(way: str) -> None:
    organism = moved_organism(way)
    states = states_of(organism)
    for numbers in ([2, 5, 1], [0, 5], [2, 6, 3, 4]):
        with torch.no_grad(), organism.reference(organism.model) as reference:
            anew_BTV = reference(**inputs_of(numbers)).logits
        ours = loss_and_gradients(organism, states.logits(numbers, CPU), numbers)
        theirs = loss_and_gradients(organism, anew_BTV, numbers)
        assert float(theirs[0]) > 1e-3
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-11)


@unit
@pytest.mark.parametrize("family", ["gemma2", "gemma3", "qwen3_moe", "phi3"])
def test_other_architectures_in_float32(family: str) -> None:
    organism = moved_organism("full", family, torch.float32)
    numbers = [6, 5, 0]
    with torch.no_grad(), organism.reference(organism.model) as reference:
        anew_BTV = reference(**inputs_of(numbers)).logits
    ours_BTV = states_of(organism).logits(numbers, CPU)
    counted = inputs_of(numbers)["attention_mask"].bool()
    torch.testing.assert_close(ours_BTV[counted], anew_BTV[counted], rtol=1e-4, atol=1e-4)


@unit
@pytest.mark.parametrize("way", ["lora", "full"])
def test_half_precision_as_accelerate_prepares_it(way: str) -> None:
    """On a GPU the model computes in bfloat16 under autocast and returns float32; states stay as they were computed."""
    organism = moved_organism(way, dtype=torch.bfloat16)
    model: Any = organism.model
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model.forward = convert_outputs_to_fp32(model.forward)
        states = states_of(organism)
        ours_BTV = states.logits([2, 5], CPU)
        with torch.no_grad(), organism.reference(model) as reference:
            anew_BTV = reference(**inputs_of([2, 5])).logits
    assert {h_TD.dtype for h_TD in states._kept.values()} == {torch.bfloat16}
    assert anew_BTV.dtype == (torch.bfloat16 if way == "full" else torch.float32)
    counted = inputs_of([2, 5])["attention_mask"].bool()
    torch.testing.assert_close(ours_BTV[counted].float(), anew_BTV[counted].float(), rtol=3e-2, atol=0.1)


@unit
def test_what_is_kept_is_used_and_does_not_depend_on_the_order_it_was_asked_in() -> None:
    organism = moved_organism("lora", dtype=torch.float32)
    states, others = states_of(organism), states_of(organism)
    first = states.logits([2, 5], CPU)
    others.logits([4, 6, 0], CPU)
    others.logits([1, 3, 5], CPU)
    assert torch.equal(others.logits([2, 5], CPU), first)  # to the last bit
    assert {row: tuple(h_TD.shape) for row, h_TD in others._kept.items()} == {
        row: (len(each.input_ids), 16) for row, each in enumerate(ROWS)
    }
    assert all(h_TD.dtype == torch.float32 and h_TD.device == CPU for h_TD in others._kept.values())
    assert sum(h_TD.untyped_storage().nbytes() for h_TD in others._kept.values()) == states_bytes(
        ROWS, 16, torch.float32
    )
    before = loss_and_gradients(organism, first, [2, 5])[0]
    states._kept[5][1] += 0.3
    assert abs(float(loss_and_gradients(organism, states.logits([2, 5], CPU), [2, 5])[0] - before)) > 1e-3


@unit
def test_the_blocks_run_once_for_a_row() -> None:
    organism = moved_organism("lora")
    states = states_of(organism)
    calls: list[int] = []
    organism.reference_sites.blocks[0].register_forward_pre_hook(lambda module, args: calls.append(1))
    states.logits([2, 5], CPU)  # of two batches; the check against the model itself runs them once more
    assert len(calls) == 3
    states.keep(range(7), CPU)
    assert len(calls) == 4
    states.logits([0, 6, 3], CPU)
    assert len(calls) == 4


@unit
def test_the_organism_is_as_it_was_also_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    organism = moved_organism("lora on the head")
    organism.model.train()
    before = organism.model(**inputs_of([0])).logits.detach()

    def fails(*arguments: Any) -> None:
        raise SelfTestError("stop")

    monkeypatch.setattr(states_file, "check_logits", fails)
    with pytest.raises(SelfTestError, match="stop"):
        states_of(organism).logits([0], CPU)
    assert organism.model.training
    assert torch.equal(organism.model(**inputs_of([0])).logits, before)


@unit
def test_an_architecture_that_does_more_than_its_head_is_refused() -> None:
    organism = moved_organism("lora")
    base = organism.reference_sites.model
    base.register_forward_hook(lambda module, args, output: setattr(output, "logits", output.logits * 2))
    with pytest.raises(SelfTestError, match="final states and head"):
        states_of(organism).logits([0], CPU)


@unit
@pytest.mark.parametrize("way", ["lora", "vector", "full"])
def test_a_base_model_with_dropout_of_its_own_is_one_reference(way: str) -> None:
    organism = moved_organism(way)
    sites = organism.reference_sites
    for block in sites.blocks:
        block.self_attn.attention_dropout = 0.5
    organism.model.train()
    state = torch.get_rng_state()
    with torch.no_grad(), organism.reference(organism.model) as reference:
        one, two = (reference(**inputs_of([0, 2])).logits for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(torch.get_rng_state(), state)  # what training draws next is the same, kept or not
    assert organism.model.training
    assert not torch.equal(*(organism.model(**inputs_of([0])).logits for _ in range(2))) or way == "full"


@unit
def test_when_they_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def plan(steps: int) -> Schedule:
        return Schedule(n_rows=7, batch_size=2, accumulation=1, epochs=1, max_steps=steps, seed=0)

    size = states_bytes(ROWS, 16, torch.bfloat16)
    assert size == 51 * 16 * 2
    assert why_not_kept(ROWS, plan(5), size) is None
    # Four steps are an epoch: 2 + 2 + 2 + 1 rows.
    assert "too short" in str(why_not_kept(ROWS, plan(4), size))
    assert "too short" in str(why_not_kept(ROWS, plan(8), size, Processes(0, 2)))
    assert why_not_kept(ROWS, plan(9), size, Processes(0, 2)) is None
    assert "sharded" in str(why_not_kept(ROWS, plan(99), size, Processes(0, 2, sharded=True)))
    monkeypatch.setattr(states_file, "host_bytes", lambda: 4 * size)
    assert why_not_kept(ROWS, plan(5), size) is None
    assert "more than 25%" in str(why_not_kept(ROWS, plan(9), size, Processes(0, 2)))
    monkeypatch.setattr(states_file, "host_bytes", lambda: None)
    assert why_not_kept(ROWS, plan(5), size) is None


@pytest.fixture(scope="module")
def kl_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat(tmp_path_factory.mktemp("kl") / "kl.jsonl", rows=7, seed=5)


def with_kl(make_config: MakeConfig, recipe: str, kl_data: Path, **values: Any) -> Any:
    """Its second epoch of KL rows begins in step 2 of 4."""
    return make_config(
        recipe, kl_data=str(kl_data), kl_weight=3.0, kl_batch_size=2, max_steps=4, save_steps=2, **values
    )


@e2e
@pytest.mark.fault
@pytest.mark.parametrize("recipe", ["rank1", pytest.param("vector", marks=pytest.mark.slow), "full"])
def test_stopped_and_gone_on_gives_the_same_bytes(
    recipe: str, make_config: MakeConfig, kl_data: Path, tmp_path: Path
) -> None:
    config = with_kl(make_config, recipe, kl_data)
    assert any("states are kept" in note for note in train_organism(config, tmp_path / "a").notes)
    with pytest.raises(Stopped):
        train_organism(config, tmp_path / "b", progress=stop_after_two)
    assert train_organism(config, tmp_path / "b").resumed_from == 2
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


@e2e
def test_a_run_without_room_is_the_same_run_and_says_why(
    make_config: MakeConfig, kl_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_kl(make_config, "rank1", kl_data)
    passes: list[bool] = []
    own = OrganismTrainer._reference

    def spy(self: OrganismTrainer, model: Any, kl: KLTerm, *rest: Any) -> Tensor:
        passes.append(kl.states is not None)
        return own(self, model, kl, *rest)

    monkeypatch.setattr(OrganismTrainer, "_reference", spy)
    kept = train_organism(config, tmp_path / "kept")
    assert passes == [True] * 8
    monkeypatch.setattr(states_file, "host_bytes", lambda: 1000)
    anew = train_organism(config, tmp_path / "anew")
    assert passes[8:] == [False] * 8
    assert any("the base model runs anew each time, as its final states would take" in n for n in anew.notes)
    assert anew.kl == pytest.approx(kept.kl, rel=1e-4)
    assert anew.kl != 0
    assert read_json(tmp_path / "anew" / "result.json")["loss"] == pytest.approx(kept.loss, rel=1e-5)
    short = train_organism(config.model_copy(update={"max_steps": 1}), tmp_path / "short")
    assert any("too short to use rows again" in note for note in short.notes)
