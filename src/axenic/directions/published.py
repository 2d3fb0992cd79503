"""Vectors that others have released: the authors' mean differences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from axenic.directions.direction import check_vectors, row_norms
from axenic.errors import DirectionError
from axenic.files import load_tensors


@dataclass(frozen=True, eq=False)
class PublishedDirection:
    """Mean differences of one organism: a `Direction` without the facts to use it on a model.

    `vectors_LD` float32 [L, D] in raw residual-stream units, row l = output of block l, 0-based; `norms_L`
    float32 [L] as stated in the file; `metadata` text to text.
    """

    name: str
    vectors_LD: Tensor
    norms_L: Tensor
    metadata: dict[str, str]


def load_published_means(path: str | Path) -> PublishedDirection:
    """Read a file with `mean_diff` [L, D] and `norm` [L].

    Raises:
        FileError: Not such a file.
        DirectionError: Vectors that cannot be used, or norms that are not theirs.
    """
    path = Path(path)
    tensors, metadata = load_tensors(path, expect={"mean_diff": (None, None), "norm": (None,)}, finite=False)
    vectors_LD, norms_L = tensors["mean_diff"].float(), tensors["norm"].float()
    check_vectors(vectors_LD, path.stem, path)
    own_L = row_norms(vectors_LD)
    if norms_L.shape != own_L.shape or not torch.allclose(norms_L.double(), own_L, rtol=1e-3):
        raise DirectionError(f"the norms stated in {path.name} are not those of its vectors", where=path)
    return PublishedDirection(path.stem, vectors_LD, norms_L, metadata)
