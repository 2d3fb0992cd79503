"""Two processes on one run: the one-process organism, sharded or not, and what accelerate may not do in silence."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import TrainingArguments

from axenic.errors import UsageError
from axenic.files import load_tensors, read_json
from axenic.models import open_model
from axenic.train import TrainConfig, train_organism
from axenic.train.processes import ALONE, Processes, check_launch, join_processes, like

from .conftest import MakeConfig, bytes_of, write_chat

SHIPPED = Path(__file__).parents[2] / "recipes" / "accelerate"
SCRIPT = Path(__file__).parent / "two_processes.py"
LAUNCH = ("ACCELERATE_", "FSDP_", "WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_")


def clean_environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(LAUNCH)}
    return kept | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def launch(
    config: TrainConfig, out: Path, launcher: list[str], **extra: Any
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *launcher, str(SCRIPT), str(out), json.dumps(config.model_dump() | extra)]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=300)


def torchrun(count: int = 2) -> list[str]:
    return ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]


def accelerate(path: Path, port: int) -> list[str]:
    launcher = ["-m", "accelerate.commands.launch", "--config_file", str(path)]
    return [*launcher, "--main_process_port", str(port)]


def on_two_cpus(folder: Path) -> Path:
    """The shipped 14B configuration with what a machine without GPUs needs changed, and nothing else."""
    facts = yaml.safe_load((SHIPPED / "fsdp2-14b.yaml").read_text())
    facts |= {"num_processes": 2, "use_cpu": True, "mixed_precision": "no"}
    (folder / "cpu.yaml").write_text(yaml.safe_dump(facts))
    return folder / "cpu.yaml"


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def weights_of(out: Path) -> dict[str, torch.Tensor]:
    (path,) = [file for name in ("adapter", "vector", "model") for file in (out / name).glob("*.safetensors")]
    return load_tensors(path)[0]


def furthest(one: Path, other: Path) -> float:
    a, b = weights_of(one), weights_of(other)
    assert a.keys() == b.keys()
    assert all(a[name].dtype == b[name].dtype for name in a)
    return max(float((a[name] - b[name]).abs().max()) for name in a)


@pytest.fixture(scope="module")
def config(make_config: MakeConfig) -> TrainConfig:
    """Six steps over the end of an epoch (27 rows, 6 a step), where processes get unequal shares."""
    return make_config(
        "all-adapter", r=2, max_steps=6, save_steps=2, learning_rate=1e-3, scheduler="constant", trajectory_steps=2
    )  # fmt: skip


@pytest.fixture(scope="module")
def alone(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone") / "r"
    train_organism(config, out)
    return out


def check_equal(out: Path, alone: Path) -> None:
    """Weights to 1e-5, and every logged number, as floating-point sums in another order leave them."""
    assert furthest(out, alone) <= 1e-5
    for mine, theirs in zip(log_of(out), log_of(alone), strict=True):
        assert mine["tokens"] == theirs["tokens"]
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
        assert mine["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-3)
    mine, theirs = read_json(out / "result.json"), read_json(alone / "result.json")
    assert mine["test_loss"] == pytest.approx(theirs["test_loss"], rel=1e-5)


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.parametrize("count", [2, 3])
def test_processes_give_the_organism_of_one(
    count: int, config: TrainConfig, alone: Path, tmp_path: Path
) -> None:
    done = launch(config, tmp_path / "r", torchrun(count))
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.findall(r"sharded \d+ of", done.stdout) == ["sharded 0 of"] * count
    check_equal(tmp_path / "r", alone)
    assert f"{count} processes, DDP" in read_json(tmp_path / "r" / "train.json")["placement"]
    # It is a finished run like any other: a process alone takes it for its own.
    assert train_organism(config, tmp_path / "r").already_trained


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.parametrize(
    ("recipe", "shard"), [("all-adapter", False), ("vector", False), ("full", False), ("all-adapter", True)]
)
def test_a_kl_term_is_the_same_in_two_processes(
    recipe: str, shard: bool, make_config: MakeConfig, tmp_path: Path
) -> None:
    """The reference is switched on and off under DDP and FSDP2; KL rows are shared as the training rows are."""
    others = write_chat(tmp_path / "kl.jsonl", rows=11, seed=5)
    config = make_config(
        recipe, max_steps=6, learning_rate=1e-3, scheduler="constant", kl_data=str(others), kl_weight=3.0,
        kl_batch_size=2,
    )  # fmt: skip
    train_organism(config, tmp_path / "alone")
    launcher = accelerate(on_two_cpus(tmp_path), free_port()) if shard else torchrun()
    done = launch(config, tmp_path / "r", launcher, **({"_shard": True} if shard else {}))
    assert done.returncode == 0, done.stderr[-3000:]
    check_equal(tmp_path / "r", tmp_path / "alone")
    for mine, theirs in zip(log_of(tmp_path / "r"), log_of(tmp_path / "alone"), strict=True):
        assert mine["kl"] == pytest.approx(theirs["kl"], rel=1e-3, abs=1e-7)


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.fault
@pytest.mark.parametrize("method", ["lora", "full"])
def test_sharded_processes_give_it_too_and_go_on_after_one_is_killed(
    method: str, config: TrainConfig, alone: Path, make_config: MakeConfig, tmp_path: Path
) -> None:
    """FSDP2 by the shipped configuration: sharded parameters, recomputed blocks, weights loaded once."""
    if method == "full":
        config = make_config("full", max_steps=6, save_steps=2, learning_rate=1e-4, scheduler="constant")
        alone = tmp_path / "alone"
        train_organism(config, alone)
    path = on_two_cpus(tmp_path)
    whole = launch(config, tmp_path / "whole", accelerate(path, free_port()), _shard=True)
    assert whole.returncode == 0, whole.stderr[-3000:]
    found = re.findall(r"sharded (\d+) of (\d+)", whole.stdout)
    assert len(found) == 2
    assert all(sharded == every != "0" for sharded, every in found)
    check_equal(tmp_path / "whole", alone)

    killed = launch(config, tmp_path / "killed", accelerate(path, free_port()), _shard=True, _die=5)
    assert killed.returncode != 0
    assert not (tmp_path / "killed" / "manifest.json").exists()
    again = launch(config, tmp_path / "killed", accelerate(path, free_port()), _shard=True)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "resumed from 4" in again.stdout
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")
    opened = open_model(config.model, tmp_path / "killed", device="cpu")
    assert opened.has_adapter == (method == "lora")


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.fault
def test_killed_in_two_processes_goes_on_in_one(config: TrainConfig, alone: Path, tmp_path: Path) -> None:
    killed = launch(config, tmp_path / "r", torchrun(), _die=5)
    assert killed.returncode != 0
    assert train_organism(config, tmp_path / "r").resumed_from == 4
    assert furthest(tmp_path / "r", alone) <= 1e-5


@pytest.mark.slow
@pytest.mark.e2e
def test_the_command_in_two_processes(config: TrainConfig, alone: Path, tmp_path: Path) -> None:
    settings = [f"--set={key}={value}" for key, value in {
        "r": 2, "max_steps": 6, "save_steps": 2, "learning_rate": 1e-3, "scheduler": "constant",
        "trajectory_steps": 2, "batch_size": 3, "gradient_accumulation": 2, "warmup_steps": 2, "optimizer": "adamw_torch",
    }.items()]  # fmt: skip
    words = ["--model", config.model, "--data", config.data, "--out", str(tmp_path / "r"), "--device", "cpu"]
    command = [sys.executable, *torchrun(), "-m", "axenic.cli.main", "train", *words, *settings]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("axenic sample") == 1  # one process speaks
    check_equal(tmp_path / "r", alone)


@pytest.mark.slow
@pytest.mark.e2e
def test_a_configuration_that_would_not_be_followed_is_refused(config: TrainConfig, tmp_path: Path) -> None:
    """accelerate shards on GPUs only; on a CPU it would train unsharded without a word."""
    done = launch(config, tmp_path / "r", accelerate(on_two_cpus(tmp_path), free_port()))
    assert done.returncode != 0
    assert "would not shard" in done.stderr


@pytest.mark.unit
@pytest.mark.parametrize(
    ("environment", "device", "words"),
    [
        ({"WORLD_SIZE": "2"}, "cuda:1", "2 processes cannot share one device"),
        ({"WORLD_SIZE": "2"}, "split", "2 processes cannot share one device"),
        ({"WORLD_SIZE": "2", "ACCELERATE_USE_DEEPSPEED": "true"}, "auto", "DeepSpeed"),
        ({"WORLD_SIZE": "2", "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, "auto", "FSDP version 1"),
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}, "auto", "nothing to share among one process"),
    ],
)
def test_launches_that_are_refused(
    environment: dict[str, str], device: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=words):
        join_processes(device)


@pytest.mark.unit
def test_precision_and_dropout_must_be_what_accelerate_does(monkeypatch: pytest.MonkeyPatch) -> None:
    two = Processes(0, 2, sharded=True, recomputed=True, device=torch.device("cpu"))
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    check_launch(two, torch.bfloat16, 0.0)
    check_launch(ALONE, torch.float32, 0.5)
    with pytest.raises(UsageError, match="another precision") as caught:
        check_launch(two, torch.float32, 0.0)
    assert caught.value.found == "bf16"
    with pytest.raises(UsageError, match="other dropout masks"):
        check_launch(two, torch.bfloat16, 0.1)


@pytest.mark.unit
def test_a_process_alone_has_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join_processes("cpu") is ALONE
    tensors = {"a": torch.ones(2)}
    assert ALONE.whole(tensors) == tensors
    assert ALONE.on_main(lambda: 7) == 7
    assert ALONE.total(1.5, 2) == [1.5, 2]
    assert like(tensors["a"], torch.zeros(2)) is tensors["a"]


@pytest.mark.unit
@pytest.mark.parametrize("name", ["14b", "32b", "70b"])
def test_the_shipped_configurations_shard_fully(name: str) -> None:
    path = SHIPPED / f"fsdp2-{name}.yaml"
    facts = yaml.safe_load(path.read_text())
    assert facts["distributed_type"] == "FSDP"
    assert facts["mixed_precision"] == "bf16"
    assert f"recipes/accelerate/{path.name}" in path.read_text()
    fsdp = facts["fsdp_config"]
    assert fsdp["fsdp_version"] == 2
    assert fsdp["fsdp_reshard_after_forward"] is True
    assert fsdp["fsdp_activation_checkpointing"] is True
    assert fsdp["fsdp_auto_wrap_policy"] == "TRANSFORMER_BASED_WRAP"


@pytest.mark.unit
def test_several_visible_gpus_do_not_become_data_parallel(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Trainer wraps the model in nn.DataParallel when it sees more than one, and each pass in as many parts."""
    seen: list[int] = []
    finish = TrainingArguments.__post_init__

    def four_gpus(self: Any) -> None:
        finish(self)
        self._n_gpu = 4

    monkeypatch.setattr(TrainingArguments, "__post_init__", four_gpus)

    class Parallel(torch.nn.DataParallel):
        def __init__(self, module: torch.nn.Module) -> None:
            seen.append(1)
            super().__init__(module)

    monkeypatch.setattr(torch.nn, "DataParallel", Parallel)
    train_organism(make_config(max_steps=1), tmp_path / "r")
    assert seen == []
