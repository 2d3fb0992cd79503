"""Importing vectors whose facts the user states."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from axenic.directions import Direction, DirectionInfo, import_direction
from axenic.errors import DirectionError, FileError
from axenic.files import save_tensors

pytestmark = pytest.mark.unit


def test_rows_of_block_outputs(tmp_path: Path, info: DirectionInfo, direction: Direction) -> None:
    save_tensors(tmp_path / "x", {"mean_diff": direction.vectors_LD.double(), "norm": torch.ones(4)})
    made = import_direction(tmp_path / "x", info, tensor="mean_diff")
    assert made.id == direction.id
    made.save(tmp_path / "d")
    assert Direction.load(tmp_path / "d").info == info


def test_persona_vectors_start_with_the_embeddings(
    tmp_path: Path, info: DirectionInfo, direction: Direction
) -> None:
    # Row 0 of such files is the embedding output; counting it as block 0 is the classic off-by-one.
    rows = torch.cat([torch.full((1, 6), 99.0), direction.vectors_LD])
    save_tensors(tmp_path / "x", {"vectors": rows})
    assert import_direction(tmp_path / "x", info, rows="embeddings_first").id == direction.id
    with pytest.raises(DirectionError, match=r"found:    \[5, 6\]"):
        import_direction(tmp_path / "x", info)


def test_what_cannot_be_imported(tmp_path: Path, info: DirectionInfo) -> None:
    save_tensors(tmp_path / "x", {"v": torch.ones(4, 6), "one": torch.ones(6)})
    with pytest.raises(DirectionError, match="has no tensor vectors"):
        import_direction(tmp_path / "x", info)
    with pytest.raises(DirectionError, match="one vector per layer"):
        import_direction(tmp_path / "x", info, tensor="one")
    torch.save(torch.ones(4, 6), tmp_path / "x.pt")
    with pytest.raises(FileError, match="never unpickles"):
        import_direction(tmp_path / "x.pt", info)
