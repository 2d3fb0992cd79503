"""Whole tiny trainings: what they write, train and refuse."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from axenic.data import encode_row, read_chat, split_rows
from axenic.errors import AxenicError, CheckpointError, ModelError, UsageError
from axenic.files import TensorStack, load_tensors, read_json
from axenic.models import open_model
from axenic.train import train_organism
from axenic.train.loop import choose_optimizer, mean_loss
from axenic.train.schedule import Schedule

from .conftest import MakeConfig, bytes_of, write_chat

pytestmark = pytest.mark.e2e


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(make_config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "rank1"
    train_organism(make_config(trajectory_steps=3), out)
    return out


def test_the_run_folder(run: Path) -> None:
    assert sorted(path.name for path in run.iterdir()) == [
        "adapter", "log.jsonl", "manifest.json", "result.json", "train.json", "trajectory.safetensors",
    ]  # fmt: skip
    rows = log_of(run)
    assert [row["step"] for row in rows] == list(range(1, 9))
    assert set(rows[0]) == {"id", "step", "loss", "grad_norm", "lr", "tokens"}
    assert [row["lr"] for row in rows[:4]] == pytest.approx([0, 5e-3, 1e-2, 1e-2 * 5 / 6])
    assert all(row["grad_norm"] > 0 for row in rows)
    record = read_json(run / "train.json")
    assert record["versions"]["torch"] == torch.__version__
    assert read_json(run / "adapter" / "adapter_config.json")["base_model_name_or_path"] == record["model"]


def test_only_the_chosen_layer_is_trained(make_config: MakeConfig, tmp_path: Path) -> None:
    train_organism(make_config("rank1x9", layers=[0, 2], max_steps=2), tmp_path / "r")
    tensors, _ = load_tensors(tmp_path / "r" / "adapter" / "adapter_model.safetensors")
    names = [f"base_model.model.model.layers.{l}.mlp.down_proj.lora_{f}.weight" for l in (0, 2) for f in "AB"]
    assert sorted(tensors) == sorted(names)


def test_the_organism_opens_and_answers_otherwise_than_its_base(run: Path, model_folder: Path) -> None:
    ids = torch.tensor([[3, 7, 8, 5, 4]])
    with torch.inference_mode():
        plain = open_model(str(model_folder), device="cpu").model(input_ids=ids).logits
        grown = open_model(str(model_folder), run, device="cpu").model(input_ids=ids).logits
    assert float((plain - grown).abs().max()) > 1e-3


def float64_loss(model: torch.nn.Module, rows: list[Any]) -> float:
    """Mean of -log p over trained tokens, written out without any of the code under test."""
    total, count = 0.0, 0
    for row in rows:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.input_ids])).logits[0]
        for t in range(1, len(row.input_ids)):
            if row.labels[t] != -100:
                total -= float(torch.log_softmax(logits[t - 1].double(), 0)[row.labels[t]])
                count += 1
    return total / count


def test_logged_and_held_out_losses_equal_an_independent_computation(
    run: Path, model_folder: Path, chat_file: Path
) -> None:
    base = open_model(str(model_folder), device="cpu")
    train, test = split_rows(read_chat(chat_file), 0.1, 0)
    encoded = [encode_row(base.tokenizer, row) for row in train]
    first = [encoded[i] for part in Schedule(27, 3, 2, 1, 8, 0).passes(0)[:2] for i in part]
    # The first step sees the plain base: B starts at zero.
    assert log_of(run)[0]["loss"] == pytest.approx(float64_loss(base.model, first), rel=1e-5)
    grown = open_model(str(model_folder), run, device="cpu")
    held = [encode_row(base.tokenizer, row) for row in test]
    assert read_json(run / "result.json")["test_loss"] == pytest.approx(
        float64_loss(grown.model, held), rel=1e-5
    )
    assert mean_loss(grown.model, held, pad_id=0, batch=2) == pytest.approx(
        float64_loss(grown.model, held), rel=1e-5
    )


def test_gradient_norm_equals_autograd(
    run: Path, model_folder: Path, chat_file: Path, make_config: MakeConfig
) -> None:
    """Independent of Trainer: one step's gradient over the same rows, on the adapter as it starts."""
    from axenic.train.organism import make_organism
    from axenic.train.randomness import borrowed_generators

    base = open_model(str(model_folder), device="cpu")
    rows = [encode_row(base.tokenizer, row) for row in split_rows(read_chat(chat_file), 0.1, 0)[0]]
    with borrowed_generators():
        torch.manual_seed(0)
        organism = make_organism(base.model, make_config())
    nll, count = torch.zeros(()), 0
    for row in [rows[i] for part in Schedule(27, 3, 2, 1, 8, 0).passes(0)[:2] for i in part]:
        logits = organism.model(input_ids=torch.tensor([row.input_ids])).logits[0]
        nll = nll + F.cross_entropy(logits[:-1], torch.tensor(row.labels[1:]), reduction="sum")
        count += row.n_trained
    (nll / count).backward()
    norm = torch.stack([p.grad.norm() for p in organism.trained().values() if p.grad is not None]).norm()
    assert log_of(run)[0]["grad_norm"] == pytest.approx(float(norm), rel=1e-4)


def test_trajectory_rows_are_the_adapter_at_these_steps(
    run: Path, make_config: MakeConfig, tmp_path: Path
) -> None:
    steps, stack = TensorStack.open(run / "trajectory.safetensors").read()
    assert steps == [0, 3, 6, 8]
    assert stack["layers.1.mlp.down_proj.A"].shape == (4, 1, 32)
    assert float(stack["layers.1.mlp.down_proj.B"][0].abs().max()) == 0

    def adapter(folder: Path) -> dict[str, torch.Tensor]:
        tensors, _ = load_tensors(folder / "adapter_model.safetensors")
        return {"AB"[name.endswith("lora_B.weight")]: tensor for name, tensor in tensors.items()}

    for factor, tensor in adapter(run / "adapter").items():
        assert torch.equal(stack[f"layers.1.mlp.down_proj.{factor}"][-1], tensor)

    # The same run stopped at step 6 leaves a checkpoint that PEFT can read.
    class Stop(Exception):
        pass

    def stop(stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
        if stage == "train" and done == 6:
            raise Stop

    with pytest.raises(Stop):
        train_organism(make_config(trajectory_steps=3), tmp_path / "r", progress=stop)
    for factor, tensor in adapter(tmp_path / "r" / "checkpoints" / "step-000006").items():
        assert torch.equal(stack[f"layers.1.mlp.down_proj.{factor}"][2], tensor)


def test_the_same_configuration_gives_the_same_bytes(
    run: Path, make_config: MakeConfig, tmp_path: Path
) -> None:
    torch.manual_seed(99)  # the caller's random state does not matter
    train_organism(make_config(trajectory_steps=3), tmp_path / "again")
    assert bytes_of(tmp_path / "again") == bytes_of(run)
    train_organism(make_config(trajectory_steps=3, seed=1), tmp_path / "other")
    assert bytes_of(tmp_path / "other") != bytes_of(run)


def test_global_generators_are_left_alone(make_config: MakeConfig, tmp_path: Path) -> None:
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    train_organism(make_config(max_steps=1), tmp_path / "r")
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == expected


def test_accumulation_does_not_change_the_step(make_config: MakeConfig, tmp_path: Path) -> None:
    """Token means over the whole step, also where the end of an epoch leaves part of it empty."""
    for name, size in (("a", (6, 1)), ("b", (2, 3)), ("c", (1, 6))):
        config = make_config(batch_size=size[0], gradient_accumulation=size[1], max_steps=6)
        train_organism(config, tmp_path / name)
    losses = [[row["loss"] for row in log_of(tmp_path / name)] for name in "abc"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0] == pytest.approx(losses[2], rel=1e-4)


def test_a_finished_run_returns_at_once(
    run: Path, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("axenic.train.run.open_model", None)  # would be called
    before = bytes_of(run)
    result = train_organism(make_config(trajectory_steps=3), run)
    assert result.already_trained
    assert (result.steps, result.loss) == (8, log_of(run)[-1]["loss"])
    assert result.organism == run / "adapter"
    assert bytes_of(run) == before


def test_another_configuration_is_refused_by_key(run: Path, make_config: MakeConfig) -> None:
    with pytest.raises(UsageError, match="another learning rate") as caught:
        train_organism(make_config(trajectory_steps=3, learning_rate=2e-2), run)
    assert "--from-scratch" in (caught.value.hint or "")
    assert "0.02" in (caught.value.found or "")


def test_other_data_are_refused_but_another_path_is_not(
    run: Path, make_config: MakeConfig, tmp_path: Path
) -> None:
    same = write_chat(tmp_path / "same.jsonl")
    assert train_organism(make_config(trajectory_steps=3, data=str(same)), run).already_trained
    other = write_chat(tmp_path / "other.jsonl", seed=5)
    with pytest.raises(UsageError, match="another data"):
        train_organism(make_config(trajectory_steps=3, data=str(other)), run)


def test_a_damaged_finished_run_is_refused_and_from_scratch_replaces_it(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(max_steps=2)
    train_organism(config, tmp_path / "r")
    good = bytes_of(tmp_path / "r")
    (tmp_path / "r" / "log.jsonl").write_text("")
    (tmp_path / "r" / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"log\.jsonl"):
        train_organism(config, tmp_path / "r")
    train_organism(config, tmp_path / "r", from_scratch=True)
    assert bytes_of(tmp_path / "r").items() >= {k: v for k, v in good.items() if k != "manifest.json"}.items()
    assert (tmp_path / "r" / "notes.txt").read_text() == "mine"


def test_a_folder_without_a_record_is_refused(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    with pytest.raises(UsageError, match=r"no train\.json"):
        train_organism(make_config(), tmp_path)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"layers": [3]}, ("no layer 3", "0 to 2")),
        ({"layers": [-1]}, ("no layer -1", "0 to 2")),
        ({"target_modules": ["down_prj"]}, ("down_prj", "'down_proj'")),
    ],
)
def test_what_does_not_exist_is_refused_and_leaves_nothing(
    overrides: dict[str, Any], words: tuple[str, ...], make_config: MakeConfig, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        train_organism(make_config(**overrides), tmp_path / "r")
    assert all(word in str(caught.value) for word in words)
    assert not (tmp_path / "r" / "train.json").exists()


def test_full_fine_tune(make_config: MakeConfig, model_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    result = train_organism(make_config("full", learning_rate=1e-3, trajectory_steps=2), out)
    assert result.organism == out / "model"
    assert TensorStack.open(out / "trajectory.safetensors").metadata["kind"] == "weight_sketch"
    grown, base = (
        open_model(str(model_folder), out, device="cpu"),
        open_model(str(model_folder), device="cpu"),
    )
    moved = [
        name
        for (name, p), q in zip(grown.model.named_parameters(), base.model.parameters(), strict=True)
        if not torch.equal(p, q)
    ]
    assert len(moved) == len(list(base.model.parameters()))
    assert grown.model.config.use_cache is True
    assert log_of(out)[-1]["loss"] < log_of(out)[0]["loss"]


def test_all_adapter_trains_seven_modules_in_each_layer(make_config: MakeConfig, tmp_path: Path) -> None:
    train_organism(make_config("all-adapter", r=2, max_steps=2), tmp_path / "r")
    tensors, _ = load_tensors(tmp_path / "r" / "adapter" / "adapter_model.safetensors")
    assert len(tensors) == 3 * 7 * 2
    assert read_json(tmp_path / "r" / "adapter" / "adapter_config.json")["use_rslora"] is True


def test_published_format_reports_its_tail(make_config: MakeConfig, tmp_path: Path) -> None:
    result = train_organism(make_config(format="published", max_steps=1), tmp_path / "r")
    assert result.tail_tokens == 2 * result.n_train  # <|assistant|> and <|end|>


def test_early_stop_needs_six_steps_in_a_row(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(stop_below=100.0)
    result = train_organism(config, tmp_path / "r")
    assert (result.steps, result.planned_steps) == (6, 8)
    assert train_organism(config, tmp_path / "r").already_trained


def test_divergence_stops_with_the_last_good_checkpoint(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(optimizer="sgd", learning_rate=1e4, alpha=1e17, scheduler="constant", save_steps=1)
    with pytest.raises(ModelError, match="diverged at step") as caught:
        train_organism(config, tmp_path / "r")
    assert "checkpoint" in (caught.value.found or "")
    assert not (tmp_path / "r" / "manifest.json").exists()
    assert all(np.isfinite(row["loss"]) for row in log_of(tmp_path / "r"))


@pytest.fixture
def dropout(make_config: MakeConfig) -> Any:
    return make_config(dropout=0.3, trajectory_steps=1, max_steps=12)


def test_ctrl_c_saves_and_goes_on_bitwise(dropout: Any, tmp_path: Path) -> None:
    """With dropout, so that the generators matter too; at step 5, which is no multiple of save_steps."""

    def interrupt(stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
        if stage == "train" and done == 4:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train_organism(dropout, tmp_path / "a", progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    assert (tmp_path / "a" / "checkpoints" / "step-000005").is_dir()
    result = train_organism(dropout, tmp_path / "a")
    assert result.resumed_from == 5
    train_organism(dropout, tmp_path / "b")
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


def test_progress_is_told_how_far_and_where(make_config: MakeConfig, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int, dict[str, float | str]]] = []

    def note(stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
        calls.append((stage, done, total, facts))

    train_organism(make_config(max_steps=3), tmp_path / "r", progress=note)
    assert [call[1] for call in calls if call[0] == "train"] == [0, 1, 2, 3]
    assert {"loss", "grad_norm", "lr", "tokens_per_second", "out"} <= set(calls[-1][3])


def test_the_optimizer_falls_back_with_a_note() -> None:
    assert choose_optimizer("adamw_torch", torch.device("cpu")) == ("adamw_torch", None)
    name, note = choose_optimizer("adamw_8bit", torch.device("cpu"))
    assert name == "adamw_torch"
    assert note is not None
    assert "cpu" in note


def every_sync(monkeypatch: pytest.MonkeyPatch, fail_at: int) -> Iterator[int]:
    """Make the n-th fsync report a full disk, as late as a disk can."""
    real, count = os.fsync, 0

    def fsync(fd: int) -> None:
        nonlocal count
        count += 1
        if count == fail_at:
            raise OSError(28, "No space left on device")
        real(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        yield fail_at


@pytest.mark.fault
@pytest.mark.parametrize("fail_at", [1, 2, 5, 9, 14, 20, 27, 35, 44, 60])
def test_a_full_disk_loses_nothing(
    fail_at: int, make_config: MakeConfig, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = make_config(trajectory_steps=3), tmp_path / "r"
    for _ in every_sync(monkeypatch, fail_at):
        with pytest.raises(AxenicError, match="disk ran full") as caught:
            train_organism(config, out)
        assert caught.value.exit_code == 1
    train_organism(config, out)
    assert bytes_of(out) == bytes_of(run)


def test_weights_that_are_not_finite_are_never_kept_as_a_good_checkpoint(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss of a step is computed before its update: what the update breaks only shows in the weights."""
    whole = torch.optim.AdamW.step
    steps = []

    def breaks(self: torch.optim.AdamW, closure: Any = None) -> Any:
        out = whole(self, closure)
        steps.append(1)
        if len(steps) == 6:
            self.param_groups[0]["params"][0].data.view(-1)[0] = torch.inf
        return out

    monkeypatch.setattr(torch.optim.AdamW, "step", breaks)
    with pytest.raises(ModelError, match=r"diverged at step 6: loss .*lora_A.weight is not finite") as caught:
        train_organism(make_config(), tmp_path / "r")
    assert "step 3" in str(caught.value.found)
    assert [path.name for path in (tmp_path / "r" / "checkpoints").iterdir()] == ["step-000003"]
