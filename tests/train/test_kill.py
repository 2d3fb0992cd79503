"""SIGKILL at random instants: repeating the command gives the bytes of an undisturbed run."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from axenic.train import TrainConfig, train_organism

from .conftest import Child, MakeConfig, bytes_of

pytestmark = [pytest.mark.e2e, pytest.mark.fault]
STEPS = 24


@pytest.fixture(scope="module")
def config(make_config: MakeConfig) -> TrainConfig:
    """With dropout, so that the generators matter, and a checkpoint every 4 steps."""
    return make_config("rank1x9", max_steps=STEPS, save_steps=4, trajectory_steps=2, dropout=0.2)


@pytest.fixture(scope="module")
def undisturbed(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "r"
    Child(config, out).wait()
    return out


def kill_once(config: TrainConfig, undisturbed: Path, out: Path, step: int, rng: random.Random) -> bool:
    """Kill after a step, within the time of about two steps; whether the process was hit at work."""
    hit = Child(config, out).kill_at(step, rng.uniform(0, 0.03))
    train_organism(config, out)
    assert bytes_of(out) == bytes_of(undisturbed)
    return hit


# Before the first step, around checkpoints, between them, and in the export after the last step.
@pytest.mark.parametrize("step", [-1, 0, 3, 5, 8, 14, 20, STEPS - 1, STEPS])
def test_killed_once(step: int, config: TrainConfig, undisturbed: Path, tmp_path: Path) -> None:
    hit = kill_once(config, undisturbed, tmp_path / "r", step, random.Random(step))
    assert hit or step >= STEPS - 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_killed_once_often(seed: int, config: TrainConfig, undisturbed: Path, tmp_path: Path) -> None:
    rng = random.Random(100 + seed)
    kill_once(config, undisturbed, tmp_path / "r", rng.randint(-1, STEPS), rng)


def test_killed_again_and_again(config: TrainConfig, undisturbed: Path, tmp_path: Path) -> None:
    rng = random.Random(7)
    for step in (2, 6, 9, 9, 15, 21):
        assert Child(config, tmp_path / "r").kill_at(step, rng.uniform(0, 0.02))
    train_organism(config, tmp_path / "r")
    assert bytes_of(tmp_path / "r") == bytes_of(undisturbed)
