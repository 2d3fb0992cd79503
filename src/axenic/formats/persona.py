"""persona_vectors: one matrix [L + 1, D], row 0 = embeddings, row k = output of block k - 1; and matrices in general.

A matrix does not say how it counts. L + 1 rows for a model of L blocks are the embeddings first; L rows can be the
official form (row l = output of block l) or refusal_direction's (row k = input of block k), which must be stated.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from axenic.directions.layer_vectors import LayerVectors
from axenic.errors import DirectionError
from axenic.formats.facts import Facts
from axenic.formats.source import Description, Source
from axenic.formats.tensor_file import write_tensors

LAST_ROW = (
    "the last row of such files is usually hidden_states[L] of transformers, which most models return after the final "
    "norm; the vector of the last block is then not in the residual stream's units"
)


def describe(source: Source, stated: Facts) -> Description | None:
    """One matrix [R, D], bare or as the only tensor of a safetensors file."""
    matrix = _matrix(source)
    if matrix is None:
        return None
    title = f"one matrix {list(matrix.shape)} without a word on what its rows are"
    first = stated.rows in (None, "embeddings_first") and stated.n_layers == len(matrix) - 1
    says = Facts(
        name=source.path.stem, site="resid_post", operation="add", rows="embeddings_first" if first else None
    )
    notes = (LAST_ROW,) if first or stated.rows == "embeddings_first" else ()
    return Description("persona-vectors", title, says, ("rows",), notes)


def read(source: Source, known: Facts) -> dict[int, Tensor]:
    """Block: vector, by the stated way of counting.

    Raises:
        DirectionError: The number of rows contradicts the number of blocks.
    """
    matrix = _matrix(source)
    assert matrix is not None
    assert known.rows is not None
    return by_block(matrix, known, source.path)


def by_block(matrix: Tensor, known: Facts, path: Path) -> dict[int, Tensor]:
    """The conversion rule of the formats page (F9): official row b = persona_vectors row b + 1 = refusal_direction
    layer b + 1."""
    assert known.n_layers is not None
    expected = known.n_layers + (known.rows == "embeddings_first")
    if len(matrix) != expected:
        raise DirectionError(
            f"{path.name} has another number of rows than rows={known.rows} means",
            where=path,
            expected=f"{expected} rows for a model of {known.n_layers} blocks",
            found=f"{len(matrix)} rows",
            hint="state another model or another --rows",
        )
    rows = matrix.to(torch.float32)
    if known.rows == "block_output_0":
        return dict(enumerate(rows))
    return {k - 1: rows[k] for k in range(1, len(rows))}


def write(vectors: LayerVectors, path: Path) -> tuple[str, ...]:
    """Write [L + 1, D] with zeros for the embeddings.

    Raises:
        DirectionError: Some blocks are lacking, or another site.
    """
    if vectors.info.site != "resid_post" or vectors.layers != tuple(range(vectors.info.n_layers)):
        raise DirectionError(
            f"'{vectors.name}' does not fill a matrix of persona_vectors",
            where=vectors.path,
            expected=f"a vector at the output of each of {vectors.info.n_layers} blocks",
            found=f"{len(vectors.layers)} at {vectors.info.site}",
        )
    write_tensors(path, torch.cat([torch.zeros(1, vectors.info.hidden_size), vectors.vectors_KD]))
    return ("row 0, the embeddings, is zero",)


def _matrix(source: Source) -> Tensor | None:
    value = source.value
    if source.container == "safetensors" and len(value) == 1:
        (value,) = value.values()
    if isinstance(value, Tensor) and value.is_floating_point() and value.dim() == 2 and min(value.shape) > 1:
        return value
    return None
