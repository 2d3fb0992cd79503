"""Growing: deterministic, tidy, and honest about not being the shipped model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from axenic.errors import FileError
from axenic.nano import MODEL_PATH
from axenic.nano.compare import compare
from axenic.nano.grow import GrowProgress, GrowResult, grow, initial_model

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> GrowResult:
    return grow(tmp_path_factory.mktemp("grow") / "tiny", seed=3, steps=1, chat_steps=1, threads=1)


def test_the_same_seed_grows_the_same_bytes_and_another_does_not(tiny: GrowResult, tmp_path: Path) -> None:
    again = grow(tmp_path / "again", seed=3, steps=1, chat_steps=1, threads=1)
    other = grow(tmp_path / "other", seed=4, steps=1, chat_steps=1, threads=1)
    assert again.weights_sha256 == tiny.weights_sha256 != other.weights_sha256


def test_growing_leaves_the_global_generator_and_the_threads_alone(tmp_path: Path) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    grow(tmp_path / "model", steps=1, chat_steps=1, threads=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_initial_weights_do_not_depend_on_the_global_generator() -> None:
    first, second = initial_model(5).state_dict(), initial_model(5).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_tiny_model_does_not_match_the_shipped_one(tiny: GrowResult) -> None:
    comparison = compare(tiny.path)
    assert not comparison.identical
    assert comparison.largest_difference > 0.01
    assert comparison.kl_nats_per_token > 1.0
    assert comparison.tokens > 1000


def test_the_shipped_model_matches_itself() -> None:
    comparison = compare(MODEL_PATH)
    assert comparison.identical
    assert comparison.largest_difference == 0.0
    assert comparison.kl_nats_per_token == pytest.approx(0.0, abs=1e-12)


def test_nothing_to_compare_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no grown model"):
        compare(tmp_path)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileError, match="overwrite"):
        grow(tmp_path, steps=1, chat_steps=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupt(progress: GrowProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grow(tmp_path / "model", steps=1, chat_steps=1, threads=1, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_progress_tells_both_stages(tmp_path: Path) -> None:
    told: list[GrowProgress] = []
    grow(tmp_path / "model", steps=1, chat_steps=1, threads=1, progress=told.append)
    assert [(p.stage, p.step, p.steps) for p in told] == [("pretrain", 1, 1), ("chat", 1, 1)]
    assert all(p.tokens_per_second > 0 and p.seconds > 0 and 0 < p.loss < 10 for p in told)


def test_the_record_names_recipe_seed_versions_and_hash(tiny: GrowResult) -> None:
    grown = json.loads((tiny.path / "grown.json").read_text())
    assert grown["weights_sha256"] == tiny.weights_sha256
    assert grown["torch"] == torch.__version__
    assert (grown["recipe"]["seed"], grown["recipe"]["steps"], grown["recipe"]["chat_steps"]) == (3, 1, 1)
