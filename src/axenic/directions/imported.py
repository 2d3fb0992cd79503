"""The door for vectors without facts: the user states them, and the layer count is brought to ours."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from axenic.directions.direction import Direction
from axenic.directions.info import DirectionInfo
from axenic.errors import DirectionError
from axenic.files import load_tensors

Rows = Literal["block_output_0", "embeddings_first"]


def import_direction(
    path: str | Path, info: DirectionInfo, *, tensor: str = "vectors", rows: Rows = "block_output_0"
) -> Direction:
    """Make a direction from one tensor of a safetensors file and facts that the user vouches for.

    Args:
        path: A safetensors file; a pickle is refused.
        info: All facts, in our conventions.
        tensor: Which tensor of the file: [L, D], or [L + 1, D] with `embeddings_first`.
        rows: How the file counts layers. `block_output_0`: row l = output of block l (the papers' code).
            `embeddings_first`: row 0 = embeddings, row k = output of block k - 1 (persona_vectors); row 0 is
            dropped.
            Files that count block *inputs* (refusal_direction) lack the output of the last block and cannot
            be imported.

    Raises:
        FileError: The file cannot be read, or has no such tensor.
        DirectionError: The vectors do not fit the facts.
    """
    path = Path(path)
    tensors, _ = load_tensors(path, finite=False)
    if tensor not in tensors:
        raise DirectionError(
            f"{path.name} has no tensor {tensor}",
            where=path,
            expected=tensor,
            found=", ".join(sorted(tensors)),
        )
    vectors_LD = tensors[tensor].float()
    return Direction(vectors_LD if rows == "block_output_0" else vectors_LD[1:], info, path)
