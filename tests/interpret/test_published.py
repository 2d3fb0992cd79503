"""The authors' files: every known figure, and that a changed file is noticed."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from axenic.errors import FileError
from axenic.interpret.published import _compared, check_published

pytestmark = pytest.mark.unit

AUTHORS = Path(__file__).parents[3] / "shared" / "author-data"
needs_data = pytest.mark.skipif(not AUTHORS.is_dir(), reason="the authors' data is not here")


@needs_data
def test_every_figure_agrees() -> None:
    found = check_published(AUTHORS)
    assert found.failed == ()
    assert len(found.figures) > 120
    assert {figure.part for figure in found.figures} == {
        "trajectories",
        "mean-diff",
        "lora-scalars",
        "judged",
    }


@needs_data
def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(AUTHORS / "mean-diff", tmp_path / "mean-diff")
    file = tmp_path / "mean-diff" / "nine_rank1.safetensors"
    tensors = load_file(file)
    # Rows one layer too late: the mistake of reading another convention.
    tensors = {name: torch.roll(tensor, 1, dims=0) for name, tensor in tensors.items()}
    save_file(tensors, file)
    failed = {figure.name for figure in check_published(tmp_path).failed}
    assert "norm of nine, layer 24" in failed
    assert "cos(nine, rank 32), mean" in failed
    assert "norm of rank 32, layer 24" not in failed


@needs_data
def test_trajectories_take_less_than_two_seconds(tmp_path: Path) -> None:
    (tmp_path / "trajectories").symlink_to(AUTHORS / "trajectories")
    began = time.process_time()
    assert check_published(tmp_path).failed == ()
    assert time.process_time() - began < 8, "0.3 s on an idle core; this only notices a blunder"


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="none of the authors' data"):
        check_published(tmp_path)
    (tmp_path / "judged").mkdir()
    with pytest.raises(FileError):
        check_published(tmp_path)


@pytest.mark.parametrize(
    ("expected", "value", "found", "agrees"),
    [
        ("0.5359", 0.53594, "0.5359", True),
        ("0.5359", 0.53596, "0.5360", False),
        (".69", 0.694, "0.69", True),
        ("48", 48.0, "48", True),
        ("0.00", -0.001, "-0.00", True),
        ("0.1", float("nan"), "nan", False),
    ],
)
def test_comparing_to_the_printed_digits(expected: str, value: float, found: str, agrees: bool) -> None:
    assert _compared(expected, value) == (found, agrees)
