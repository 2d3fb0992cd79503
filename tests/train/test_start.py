"""Training that goes on from an organism: what it begins with, what stays the base model's, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from axenic.data import encode_row, read_chat, split_rows
from axenic.errors import ModelError, UsageError
from axenic.files import TensorStack, load_tensors, read_json, save_tensors
from axenic.models import open_model
from axenic.train import train_organism
from axenic.train.kl import kl_schedule
from axenic.train.memory import plan_memory
from axenic.train.schedule import Schedule

from .conftest import Child, MakeConfig, bytes_of, write_chat, write_model
from .test_run import log_of

pytestmark = pytest.mark.e2e
FILES = {
    "rank1x9": "adapter/adapter_model.safetensors",
    "vector": "vector/steering_vector.safetensors",
    "full": "model/model.safetensors",
}


@pytest.fixture(scope="module")
def kl_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat(tmp_path_factory.mktemp("kl") / "kl.jsonl", rows=11, seed=5)


@pytest.fixture(scope="module")
def starts(make_config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of each method."""
    folder = tmp_path_factory.mktemp("starts")
    for recipe in FILES:
        extra: dict[str, Any] = {"alpha": 8} if recipe == "vector" else {}
        train_organism(make_config(recipe, trajectory_steps=4, learning_rate=3e-2, **extra), folder / recipe)
    return {recipe: folder / recipe for recipe in FILES}


def rows_at(run: Path, step: int) -> dict[str, Tensor]:
    _, tensors = TensorStack.open(run / "trajectory.safetensors").read([step])
    return {name: tensor[0] for name, tensor in tensors.items()}


@pytest.mark.parametrize("recipe", list(FILES))
def test_it_begins_with_the_start_and_the_reference_stays_the_base(
    recipe: str,
    starts: dict[str, Path],
    make_config: MakeConfig,
    model_folder: Path,
    chat_file: Path,
    kl_data: Path,
    tmp_path: Path,
) -> None:
    config = make_config(
        recipe, start_from=str(starts[recipe]), trajectory_steps=4, max_steps=4, kl_data=str(kl_data), kl_weight=1.0,
        kl_batch_size=2, **({"alpha": 8} if recipe == "vector" else {}),
    )  # fmt: skip
    result = train_organism(config, tmp_path / "r")
    assert result.steps == 4
    # The first row is the start's last; of a full fine-tune both are what moved from the BASE.
    for name, row in rows_at(tmp_path / "r", 0).items():
        torch.testing.assert_close(row, rows_at(starts[recipe], 8)[name], rtol=1e-4, atol=1e-5)
        assert float(row.norm()) > 0
    base = open_model(str(model_folder), device="cpu", self_test=False)
    start = open_model(str(model_folder), starts[recipe], device="cpu", self_test=False)
    rows = [encode_row(base.tokenizer, row) for row in split_rows(read_chat(chat_file), 0.1, 0)[0]]
    others = [encode_row(base.tokenizer, row) for row in read_chat(kl_data)]
    plan = Schedule.of(config, len(rows))
    nll, trained, nats, tokens = 0.0, 0, 0.0, 0
    with torch.inference_mode():
        for row in [rows[i] for part in plan.passes(0)[:2] for i in part]:
            logits = start.model(input_ids=torch.tensor([row.input_ids])).logits[0]
            nll += float(F.cross_entropy(logits[:-1], torch.tensor(row.labels[1:]), reduction="sum"))
            trained += row.n_trained
        for row in [others[i] for part in kl_schedule(plan, len(others), 2).passes(0)[:2] for i in part]:
            ids = torch.tensor([row.input_ids])
            p, q = (opened.model(input_ids=ids).logits.log_softmax(-1) for opened in (base, start))
            nats += float((p.exp() * (p - q)).sum())
            tokens += len(row.input_ids)
    first = log_of(tmp_path / "r")[0]
    assert first["step"] == 1
    assert first["loss"] == pytest.approx(nll / trained, rel=1e-4)
    assert first["kl"] == pytest.approx(nats / tokens, rel=1e-3)
    assert nats / tokens > 1e-3
    ours, theirs = (load_tensors(run / FILES[recipe])[0] for run in (tmp_path / "r", starts[recipe]))
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_optimizer_begins_anew_and_a_checkpoint_is_a_start_too(
    make_config: MakeConfig, starts: dict[str, Path], tmp_path: Path
) -> None:
    """The schedule starts over as well: the first step of a warm-up has rate 0, so that nothing moves in it."""
    assert Child(make_config("vector", max_steps=40, alpha=8), tmp_path / "stopped").kill_at(10, 0)
    checkpoint = sorted((tmp_path / "stopped" / "checkpoints").iterdir())[-1]
    config = make_config("vector", max_steps=2, alpha=8, start_from=str(checkpoint), trajectory_steps=1)
    train_organism(config, tmp_path / "r")
    saved, _ = load_tensors(checkpoint / "steering_vector.safetensors")
    first, second = rows_at(tmp_path / "r", 0), rows_at(tmp_path / "r", 1)
    assert all(torch.equal(first[name], saved[name]) for name in saved)
    assert all(torch.equal(first[name], second[name]) for name in saved)
    assert [row["lr"] for row in log_of(tmp_path / "r")] == pytest.approx([0, 5e-3])


@pytest.mark.parametrize(
    ("recipe", "values", "message"),
    [
        ("rank1x9", {"r": 2}, "r differs"),
        ("rank1x9", {"alpha": 8}, "alpha differs"),
        ("rank1x9", {"layers": [0, 2]}, "layers differs"),
        ("rank1x9", {"target_modules": ["up_proj"]}, "target_modules differs"),
        ("vector", {"alpha": 4}, "alpha differs"),
        ("vector", {"alpha": 8, "layers": [0]}, "layers differs"),
        ("vector", {"alpha": 8, "vector_site": "resid_post"}, "vector_site differs"),
        ("full", {}, "method differs"),
    ],
)
def test_a_start_that_was_grown_in_another_way_is_refused_by_name(
    recipe: str,
    values: dict[str, Any],
    message: str,
    make_config: MakeConfig,
    starts: dict[str, Path],
    tmp_path: Path,
) -> None:
    start = starts["rank1x9" if recipe == "full" else recipe]
    with pytest.raises(UsageError, match=message) as caught:
        train_organism(make_config(recipe, start_from=str(start), **values), tmp_path / "r")
    assert caught.value.expected
    assert caught.value.found
    assert not (tmp_path / "r").exists()


def test_a_start_of_another_base_model_or_size_is_refused(
    make_config: MakeConfig, starts: dict[str, Path], tmp_path: Path
) -> None:
    other = write_model(tmp_path / "other", seed=1)
    for recipe in FILES:
        extra: dict[str, Any] = {"alpha": 8} if recipe == "vector" else {}
        config = make_config(recipe, start_from=str(starts[recipe]), **extra)
        with pytest.raises(UsageError, match="was not grown from"):
            train_organism(config.model_copy(update={"model": str(other)}), tmp_path / "r")
    # Nobody says what a bare adapter was grown from: the shapes do.
    deep = write_model(tmp_path / "deep", layers=4)
    shutil.copytree(starts["rank1x9"] / "adapter", tmp_path / "bare")
    config = make_config("rank1x9", start_from=str(tmp_path / "bare"))
    with pytest.raises(UsageError, match="layers differs"):
        train_organism(config.model_copy(update={"model": str(deep), "layers": (0, 1, 2, 3)}), tmp_path / "r")
    assert "does not say which base model" in "".join(train_organism(config, tmp_path / "s").notes)
    with pytest.raises(ModelError, match="no organism folder"):
        train_organism(make_config("rank1x9", start_from="./nowhere"), tmp_path / "r")


def test_another_start_is_another_run_and_another_path_is_not(
    make_config: MakeConfig, starts: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(starts["vector"], tmp_path / "start")
    config = make_config("vector", alpha=8, start_from=str(tmp_path / "start"), max_steps=2)
    train_organism(config, tmp_path / "r")
    facts = read_json(tmp_path / "r" / "train.json")
    assert len(facts["start_fingerprint"]) > 10
    moved = config.model_copy(update={"start_from": str(starts["vector"])})
    assert train_organism(moved, tmp_path / "r").already_trained
    weights = tmp_path / "start" / "vector" / "steering_vector.safetensors"
    tensors, metadata = load_tensors(weights)
    save_tensors(weights, {name: 2 * t for name, t in tensors.items()}, metadata)
    with pytest.raises(UsageError, match="another start fingerprint"):
        train_organism(config, tmp_path / "r")
    with pytest.raises(UsageError, match="another start fingerprint"):
        train_organism(config.model_copy(update={"start_from": None}), tmp_path / "r")
    with pytest.raises(UsageError, match="in its own folder"):
        train_organism(
            config.model_copy(update={"start_from": str(tmp_path / "r")}), tmp_path / "r", from_scratch=True
        )
    assert train_organism(moved, tmp_path / "r").already_trained


def test_a_kl_term_that_is_taken_away_is_another_run(
    make_config: MakeConfig, kl_data: Path, tmp_path: Path
) -> None:
    train_organism(make_config("vector", kl_data=str(kl_data), kl_weight=1.0, max_steps=1), tmp_path / "r")
    with pytest.raises(UsageError, match="another kl"):
        train_organism(make_config("vector", max_steps=1), tmp_path / "r")


def test_the_plan_counts_it(make_config: MakeConfig, starts: dict[str, Path]) -> None:
    plain, going_on = (
        make_config("vector", alpha=8, start_from=start) for start in (None, str(starts["vector"]))
    )
    assert plan_memory(going_on) == plan_memory(plain)


@pytest.mark.fault
@pytest.mark.parametrize("recipe", [pytest.param("full", marks=pytest.mark.slow), "rank1x9"])
def test_killed_again_and_again(
    recipe: str, make_config: MakeConfig, starts: dict[str, Path], kl_data: Path, tmp_path: Path
) -> None:
    config = make_config(
        recipe, start_from=str(starts[recipe]), kl_data=str(kl_data), kl_weight=2.0, kl_batch_size=2, max_steps=12,
        save_steps=4, trajectory_steps=2,
    )  # fmt: skip
    Child(config, tmp_path / "undisturbed").wait()
    for step, delay in ((-1, 0.01), (2, 0.01), (9, 0.0)):
        assert Child(config, tmp_path / "r").kill_at(step, delay)
    train_organism(config, tmp_path / "r")
    assert bytes_of(tmp_path / "r") == bytes_of(tmp_path / "undisturbed")
