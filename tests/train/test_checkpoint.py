"""Damaged, mixed and foreign checkpoints: refused by name, never gone on from."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from axenic.errors import CheckpointError, UsageError
from axenic.train import train_organism
from axenic.train.checkpoint import join_state, split_state

from .conftest import MakeConfig, bytes_of

pytestmark = [pytest.mark.e2e, pytest.mark.fault]
NEWEST, OLDER = "step-000006", "step-000003"
FILES = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "optimizer.safetensors",
    "state.json",
    "manifest.json",
)


class Stop(Exception):
    """Ends a training after its second checkpoint."""


def stop_at_7(stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
    if stage == "train" and done == 7:
        raise Stop


@pytest.fixture(scope="module")
def stopped(make_config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints of steps 3 and 6."""
    out = tmp_path_factory.mktemp("stopped") / "r"
    with pytest.raises(Stop):
        train_organism(make_config(trajectory_steps=1), out, progress=stop_at_7)
    assert sorted(path.name for path in (out / "checkpoints").iterdir()) == [OLDER, NEWEST]
    return out


@pytest.fixture(scope="module")
def finished(make_config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "r"
    train_organism(make_config(trajectory_steps=1), out)
    return out


@pytest.fixture
def torn(stopped: Path, tmp_path: Path) -> Path:
    return shutil.copytree(stopped, tmp_path / "r")


def check_refused(out: Path, make_config: MakeConfig, name: str) -> None:
    before = bytes_of(out)
    with pytest.raises(CheckpointError) as caught:
        train_organism(make_config(trajectory_steps=1), out)
    assert name in str(caught.value)
    assert NEWEST in str(caught.value)
    assert "--from-scratch" in (caught.value.hint or "")
    assert "rm -r" in (caught.value.hint or "")
    assert bytes_of(out) == before


def missing(path: Path, older: Path) -> None:
    path.unlink()


def truncated(path: Path, older: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def swapped(path: Path, older: Path) -> None:
    path.write_bytes(older.read_bytes())


def zeroed(path: Path, older: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("damage", [missing, truncated, swapped, zeroed])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_refused_by_name(
    name: str, damage: Callable[[Path, Path], None], torn: Path, make_config: MakeConfig
) -> None:
    if damage is swapped and name == "adapter_config.json":
        pytest.skip("it is the same in every step")
    folder = torn / "checkpoints" / NEWEST
    damage(folder / name, torn / "checkpoints" / OLDER / name)
    # Another step's manifest shows in the first file that differs from it.
    check_refused(
        torn, make_config, "adapter_model" if damage is swapped and name == "manifest.json" else name
    )


def test_a_renamed_older_checkpoint_is_refused(torn: Path, make_config: MakeConfig) -> None:
    shutil.rmtree(torn / "checkpoints" / NEWEST)
    (torn / "checkpoints" / OLDER).rename(torn / "checkpoints" / NEWEST)
    check_refused(torn, make_config, "another step")


def test_another_runs_checkpoint_is_refused(torn: Path, make_config: MakeConfig, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with pytest.raises(Stop):
        train_organism(make_config(trajectory_steps=1, seed=1), other, progress=stop_at_7)
    shutil.rmtree(torn / "checkpoints" / NEWEST)
    shutil.copytree(other / "checkpoints" / NEWEST, torn / "checkpoints" / NEWEST)
    check_refused(torn, make_config, "another run")


def test_an_added_file_is_refused(torn: Path, make_config: MakeConfig) -> None:
    (torn / "checkpoints" / NEWEST / "training_args.bin").write_bytes(b"\x80\x02")
    check_refused(torn, make_config, "training_args.bin")


def test_a_half_written_folder_is_no_checkpoint(torn: Path, finished: Path, make_config: MakeConfig) -> None:
    (torn / "checkpoints" / NEWEST).rename(torn / "checkpoints" / ".axenic-0123456789abcdef.tmp")
    assert train_organism(make_config(trajectory_steps=1), torn).resumed_from == 3
    assert bytes_of(torn) == bytes_of(finished)


def test_the_way_out_that_the_error_names_works(torn: Path, finished: Path, make_config: MakeConfig) -> None:
    truncated(torn / "checkpoints" / NEWEST / "optimizer.safetensors", torn)
    check_refused(torn, make_config, "optimizer.safetensors")
    shutil.rmtree(torn / "checkpoints" / NEWEST)
    assert train_organism(make_config(trajectory_steps=1), torn).resumed_from == 3
    assert bytes_of(torn) == bytes_of(finished)


def test_from_scratch_needs_no_checkpoint(torn: Path, finished: Path, make_config: MakeConfig) -> None:
    zeroed(torn / "checkpoints" / NEWEST / "state.json", torn)
    assert train_organism(make_config(trajectory_steps=1), torn, from_scratch=True).resumed_from is None
    assert bytes_of(torn) == bytes_of(finished)


@pytest.mark.parametrize("name", ["log.jsonl", "trajectory.safetensors"])
def test_a_missing_companion_is_refused(name: str, torn: Path, make_config: MakeConfig) -> None:
    (torn / name).unlink()
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        train_organism(make_config(trajectory_steps=1), torn)


def test_another_configuration_does_not_go_on(torn: Path, make_config: MakeConfig) -> None:
    with pytest.raises(UsageError, match="another r"):
        train_organism(make_config(trajectory_steps=1, r=2), torn)


def test_optimizer_state_goes_through_tensors_and_numbers() -> None:
    p = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2))]
    optimizer = torch.optim.AdamW([{"params": [p[0]], "weight_decay": 0.1}, {"params": [p[1]]}], lr=0.1)
    sum((q**2).sum() for q in p).backward()  # type: ignore[union-attr]
    optimizer.step()
    state = optimizer.state_dict()
    state["state"][1]["bits"] = 8  # 8-bit optimizers keep plain numbers too
    tensors, numbers = split_state(state)
    assert set(tensors) == {f"{i}.{key}" for i in (0, 1) for key in ("step", "exp_avg", "exp_avg_sq")}
    again = join_state(tensors, numbers)
    assert again["param_groups"] == state["param_groups"]
    assert again["state"][1]["bits"] == 8
    assert torch.equal(again["state"][0]["exp_avg"], state["state"][0]["exp_avg"])
