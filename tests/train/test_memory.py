"""The memory plan: exact counts against peft's and the papers', bytes against the tensors of a real run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig

from axenic.errors import UsageError
from axenic.models import FAMILIES, tiny_model
from axenic.train import resolve
from axenic.train.memory import activation_bytes, empty_organism, plan_memory, smallest_plan

from .conftest import MakeConfig

pytestmark = pytest.mark.unit

GB = 10**9
QWEN_14B = {
    "vocab_size": 152064,
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 48,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
}


@pytest.fixture(scope="module")
def qwen_14b(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shape of Qwen2.5-14B-Instruct in a folder: a config, no weights."""
    folder = tmp_path_factory.mktemp("qwen") / "14b"
    AutoConfig.for_model("qwen2", **QWEN_14B).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("recipe", "trained"),
    [("all-adapter", 137_625_600), ("rank1x9", 170_496), ("rank1", 13_824 + 5_120), ("full", 14_770_033_664)],
)
def test_the_papers_parameter_counts(recipe: str, trained: int, qwen_14b: str) -> None:
    """170,496 and 137.6 M trained parameters (papers.md 1.2.4); 14.77 B in all (the model's card: 14.7 B)."""
    plan = plan_memory(resolve(recipe, qwen_14b, {"data": "x"}), device_bytes=80 * GB)
    assert plan.trained == trained
    assert plan.parameters == 14_770_033_664 + (0 if recipe == "full" else trained)
    assert plan.dtype == "bfloat16"
    base = 2 * 14_770_033_664
    # A full fine-tune in one process trains the bfloat16 weights themselves; adapters are float32.
    assert plan.weights == base + (0 if recipe == "full" else 4 * trained)
    assert plan.gradients == (2 if recipe == "full" else 4) * trained


@pytest.mark.parametrize("layers", [None, (1,), (0, 2)])
@pytest.mark.parametrize("family", ["qwen2", "llama", "gemma2", "gemma3_text", "mistral"])
def test_adapters_are_counted_as_peft_does(
    family: str, layers: tuple[int, ...] | None, tmp_path: Path
) -> None:
    tiny_model(family).config.save_pretrained(tmp_path)
    config = resolve("all-adapter", str(tmp_path), {"data": "x", "r": 5, "layers": layers, "device": "cpu"})
    peft_config = LoraConfig(
        r=5,
        target_modules=list(config.target_modules),
        layers_to_transform=None if layers is None else list(layers),
    )
    trained, every = get_peft_model(tiny_model(family), peft_config).get_nb_trainable_parameters()
    plan = plan_memory(config)
    assert (plan.trained, plan.parameters) == (trained, every)


def test_every_family_is_counted_without_memory(tmp_path: Path) -> None:
    for family in FAMILIES:
        tiny_model(family).config.save_pretrained(tmp_path / family)
        config = resolve("full", str(tmp_path / family), {"data": "x", "device": "cpu"})
        organism = empty_organism(config, torch.float32)
        assert all(p.is_meta for p in organism.parameters().values())
        assert plan_memory(config).parameters == sum(p.numel() for p in tiny_model(family).parameters())


@pytest.mark.parametrize("recipe", ["all-adapter", "full"])
def test_bytes_are_those_of_a_real_run(
    recipe: str, make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from axenic.train.checkpoint import Checkpoints
    from axenic.train.run import train_organism

    found: dict[str, int] = {}

    def size(tensors: Any) -> int:
        return sum(t.numel() * t.element_size() for t in tensors)

    def measure(self: Any, step: int, organism: Any, optimizer: Any, scheduler: Any) -> None:
        state = optimizer.state_dict()["state"].values()
        found["weights"] = size(organism.model.parameters())
        found["moments"] = size(t for entry in state for key, t in entry.items() if key != "step")

    monkeypatch.setattr(Checkpoints, "save", measure)
    overrides = {"r": 3} if recipe == "all-adapter" else {}
    config = make_config(recipe, max_steps=1, **overrides)
    train_organism(config, tmp_path / "r")
    plan = plan_memory(config)
    assert (plan.weights, plan.moments) == (found["weights"], found["moments"])


def kept_for_backward(model: torch.nn.Module, tokens: int) -> int:
    """Bytes of the distinct tensors that autograd keeps in one forward pass, parameters left out."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and tensor.is_floating_point():
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = model(input_ids=torch.randint(3, 60, (2, tokens // 2)), use_cache=False).logits
    assert out.requires_grad  # and alive: the storages are still distinct
    return sum(kept.values())


@pytest.mark.parametrize("family", ["qwen2", "qwen3", "llama", "mistral", "gemma2", "gemma3_text"])
def test_activations_are_estimated_within_a_factor_of_two(family: str) -> None:
    config = AutoConfig.for_model(
        family, vocab_size=64, hidden_size=128, intermediate_size=384, num_hidden_layers=4, num_attention_heads=8,
        num_key_value_heads=4, head_dim=16, attn_implementation="eager" if family == "gemma2" else "sdpa",
    )  # fmt: skip
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    tokens = 64
    measured = kept_for_backward(model.train(), tokens)
    estimate = tokens * activation_bytes(config, 4, tokens // 2, recompute=False)
    assert measured / 2 <= estimate <= 2 * measured, estimate / measured
    assert activation_bytes(config, 4, tokens // 2, recompute=True) < activation_bytes(
        config, 4, tokens // 2, recompute=False
    )


def test_sharding_divides_what_is_kept(qwen_14b: str) -> None:
    config = resolve("full", qwen_14b, {"data": "x"})
    one, eight = (plan_memory(config, processes=n, device_bytes=80 * GB) for n in (1, 8))
    # Sharded, the trained weights are kept in float32.
    assert eight.weights == pytest.approx(2 * one.weights / 8, abs=8)
    assert eight.gradients == eight.weights
    assert eight.moments == 2 * eight.weights
    assert eight.gathered > 0 == one.gathered
    assert (one.fits, eight.fits) == (False, True)


def test_the_command_to_type(tmp_path: Path) -> None:
    AutoConfig.for_model("qwen2", **QWEN_14B | {"num_hidden_layers": 4}).save_pretrained(tmp_path)
    lora = resolve("all-adapter", str(tmp_path), {"data": "x"})
    total = plan_memory(lora, device_bytes=1).total
    alone = smallest_plan(lora, device_bytes=int(1.2 * total))
    assert (alone.processes, alone.recompute, alone.launch) == (1, False, ("axenic",))
    spared = smallest_plan(lora, device_bytes=total)
    assert (spared.processes, spared.recompute, spared.fits) == (1, True, True)
    least = smallest_plan(lora, device_bytes=1, most=8)
    assert (least.processes, least.fits) == (8, False)
    full = resolve("full", str(tmp_path), {"data": "x"})
    room = int(1.1 * plan_memory(full, processes=4, device_bytes=1).total) + 1
    shared = smallest_plan(full, device_bytes=room)
    assert (shared.processes, shared.fits) == (4, True)
    assert shared.launch[:4] == ("accelerate", "launch", "--config_file", "recipes/accelerate/fsdp2-14b.yaml")
    assert shared.launch[4:6] == ("--num_processes", "4")
    with pytest.raises(UsageError):
        plan_memory(lora, processes=0)
