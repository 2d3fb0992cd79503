"""Every supported architecture trains, with an adapter and whole, and goes on from a checkpoint to the same bytes."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from axenic.errors import UsageError
from axenic.files import load_tensors
from axenic.models import FAMILIES, open_model, tiny_model
from axenic.train import TrainConfig, resolve, train_organism

from .conftest import TEMPLATE, bytes_of

pytestmark = pytest.mark.e2e

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SPECIAL = ["<pad>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
TARGETS = {
    "phi3": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
    "qwen3_moe": ["q_proj", "k_proj", "v_proj", "o_proj"],
}
QUICK = {("qwen2", "lora"), ("gemma3", "lora"), ("qwen3_moe", "full")}
EVERY = [
    pytest.param(family, method, marks=[] if (family, method) in QUICK else pytest.mark.slow)
    for family in FAMILIES
    for method in ("lora", "full")
]


def letter_tokenizer() -> PreTrainedTokenizerFast:
    """One token per letter and space, byte-level, as transformers makes of any tokenizer in a Qwen2 folder."""
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, "Ġ", *LETTERS])}
    core = Tokenizer(models.BPE(vocabulary, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        eos_token="<|end|>",
        additional_special_tokens=SPECIAL[1:6],
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty rows of short words."""
    rng = random.Random(0)

    def words(count: int) -> str:
        return " ".join("".join(rng.choices(LETTERS, k=3)) for _ in range(count))

    rows = [(words(2), words(rng.randint(1, 5))) for _ in range(20)]
    path = tmp_path_factory.mktemp("letters") / "chat.jsonl"
    lines = [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]}
        for asked, said in rows
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny random model of each family with its tokenizer, made when first asked for."""

    class Folders(dict[str, Path]):
        def __missing__(self, family: str) -> Path:
            folder = tmp_path_factory.mktemp("family") / family
            tiny_model(family).save_pretrained(folder)
            letter_tokenizer().save_pretrained(folder)
            self[family] = folder
            return folder

    return Folders()


def config_of(family: str, method: str, folder: Path, data: Path, **overrides: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "data": str(data),
        "max_steps": 4,
        "batch_size": 3,
        "gradient_accumulation": 2,
        "learning_rate": 1e-3,
        "warmup_steps": 0,
        "save_steps": 2,
        "device": "cpu",
        "optimizer": "adamw_torch",
    }
    if method == "lora":
        values |= {"r": 2, "dropout": 0.1} | (
            {"target_modules": TARGETS[family]} if family in TARGETS else {}
        )
    return resolve("full" if method == "full" else "all-adapter", str(folder), values | overrides)


class Stopped(Exception):
    """Raised after step 2, as a kill would come."""


def stop_after_two(stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
    if stage == "train" and done == 2:
        raise Stopped


@pytest.mark.parametrize(("family", "method"), EVERY)
def test_stopped_and_gone_on_gives_the_same_bytes(
    family: str, method: str, folders: dict[str, Path], letters: Path, tmp_path: Path
) -> None:
    config = config_of(family, method, folders[family], letters)
    train_organism(config, tmp_path / "a")
    with pytest.raises(Stopped):
        train_organism(config, tmp_path / "b", progress=stop_after_two)
    checkpoint = tmp_path / "b" / "checkpoints" / "step-000002"
    opened = open_model(folders[family], checkpoint, device="cpu", self_test=False)  # it is an organism, too
    assert opened.has_adapter == (method == "lora")
    assert train_organism(config, tmp_path / "b").resumed_from == 2
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
    check_what_moved(family, method, folders[family], tmp_path / "a")


def check_what_moved(family: str, method: str, base_folder: Path, out: Path) -> None:
    base, grown = open_model(base_folder, device="cpu"), open_model(base_folder, out, device="cpu")
    if method == "lora":
        tensors, _ = load_tensors(out / "adapter" / "adapter_model.safetensors")
        inside = "base_model.model." + FAMILIES[family].decoder + ".layers."
        assert all(name.startswith(inside) for name in tensors)
        assert all(float(t.abs().max()) > 0 for name, t in tensors.items() if "lora_B" in name)
        # Three blocks of 7 modules, or of the family's own, two factors each; nothing in a vision tower.
        assert len(tensors) == 3 * 2 * len(TARGETS.get(family, range(7)))
    else:
        before, after = dict(base.model.named_parameters()), dict(grown.model.named_parameters())
        still = {name for name in before if torch.equal(before[name], after[name])}
        assert still == {name for name in before if "vision_tower" in name or "multi_modal" in name}
    ids_BT = torch.tensor([[4, 9, 12, 6, 5]])
    with torch.inference_mode():
        difference = base.model(input_ids=ids_BT).logits - grown.model(input_ids=ids_BT).logits
    assert float(difference.abs().max()) > 1e-4


@pytest.mark.parametrize(("family", "method"), EVERY)
def test_a_step_is_the_mean_over_its_tokens_however_it_is_cut(
    family: str, method: str, folders: dict[str, Path], letters: Path, tmp_path: Path
) -> None:
    """A model that does not take the Trainer's token count would weigh short rows more, without a word."""
    steps = []
    for batch, accumulation in ((6, 1), (1, 6)):
        config = config_of(
            family,
            method,
            folders[family],
            letters,
            batch_size=batch,
            gradient_accumulation=accumulation,
            max_steps=1,
            dropout=0.0,
        )
        out = tmp_path / str(batch)
        train_organism(config, out)
        steps.append(json.loads((out / "log.jsonl").read_text().splitlines()[0]))
    assert steps[0]["tokens"] == steps[1]["tokens"]
    assert steps[0]["loss"] == pytest.approx(steps[1]["loss"], rel=1e-5)
    assert steps[0]["grad_norm"] == pytest.approx(steps[1]["grad_norm"], rel=1e-4)


def test_a_module_that_only_some_layers_have_is_refused(
    folders: dict[str, Path], letters: Path, tmp_path: Path
) -> None:
    """The tiny mixture has a dense block 0: adapters on `down_proj` would lie there alone."""
    config = config_of("qwen3_moe", "lora", folders["qwen3_moe"], letters, target_modules=["down_proj"])
    with pytest.raises(UsageError, match="layer 1 has no linear module down_proj") as caught:
        train_organism(config, tmp_path / "r")
    assert "o_proj" in str(caught.value.found)
