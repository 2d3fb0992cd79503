"""SIGKILL at random instants: repeating the command gives the bytes of an undisturbed run."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from axenic.train import TrainConfig, train_organism

from .conftest import Child, MakeConfig, bytes_of

pytestmark = [pytest.mark.e2e, pytest.mark.fault]


@pytest.fixture(scope="module")
def config(make_config: MakeConfig) -> TrainConfig:
    """Long enough to be hit in training, with dropout so that the generators matter."""
    return make_config("rank1x9", max_steps=40, save_steps=4, trajectory_steps=2, dropout=0.2)


@pytest.fixture(scope="module")
def undisturbed(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The run folder, and how long it takes [s]."""
    out = tmp_path_factory.mktemp("undisturbed") / "r"
    return out, Child(config, out).wait()


def kill_once(config: TrainConfig, undisturbed: tuple[Path, float], out: Path, instant: float) -> None:
    Child(config, out).kill_after(instant * undisturbed[1])
    train_organism(config, out)
    assert bytes_of(out) == bytes_of(undisturbed[0])


@pytest.mark.parametrize("seed", range(8))
def test_killed_once(seed: int, config: TrainConfig, undisturbed: tuple[Path, float], tmp_path: Path) -> None:
    kill_once(config, undisturbed, tmp_path / "r", random.Random(seed).uniform(seed / 8, (seed + 1) / 8))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_killed_once_often(
    seed: int, config: TrainConfig, undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    kill_once(config, undisturbed, tmp_path / "r", random.Random(100 + seed).random())


def test_killed_again_and_again(
    config: TrainConfig, undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    """Every attempt dies until one is through; each gets a little longer, as each has less to do."""
    rng, attempt = random.Random(7), 0
    while Child(config, tmp_path / "r").kill_after(undisturbed[1] * (0.3 + 0.1 * attempt + 0.2 * rng.random())):
        attempt += 1
        assert attempt < 20
    assert attempt >= 1
    assert train_organism(config, tmp_path / "r").already_trained
    assert bytes_of(tmp_path / "r") == bytes_of(undisturbed[0])
