"""Vectors at some layers of a model: what most files hold that are no whole direction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from axenic.directions.direction import (
    SOME_LAYERS,
    Direction,
    check_vectors,
    refuse_other_base,
    row_norms,
    rows_at,
)
from axenic.directions.info import DirectionInfo
from axenic.errors import DirectionError
from axenic.files import canonical_json, load_tensors, parse_json, save_tensors
from axenic.files.tensors import inspect_tensors

KEY = SOME_LAYERS


@dataclass(frozen=True, eq=False)
class LayerVectors:
    """One vector at each of K blocks; checked when made. `Intervention("add", layers, site, vectors_KD)` takes them as
    they are.

    Args:
        layers: Blocks, 0-based, ascending; (-1,) for site `embed`.
        vectors_KD: float32, what is added at strength 1 (the scale or alpha of the file is multiplied in). Finite, no
            row of norm zero.
        info: The facts of a direction; `n_layers` is that of the model, `layer_convention` says that vector k belongs
            to the output of block `layers[k]`.
        path: The file it was read from, for messages.

    Raises:
        DirectionError: Vectors that cannot be used, or layers that the model does not have.
    """

    layers: tuple[int, ...]
    vectors_KD: Tensor
    info: DirectionInfo
    path: Path | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        vectors_KD = self.vectors_KD.detach().to("cpu").contiguous()
        object.__setattr__(self, "vectors_KD", vectors_KD)
        check_vectors(vectors_KD, self.info.name, self.path, self.layers)
        if vectors_KD.shape != (len(self.layers), self.info.hidden_size):
            raise DirectionError(
                f"the vectors of '{self.info.name}' are of another shape than their facts say",
                where=self.path,
                expected=[len(self.layers), self.info.hidden_size],
                found=list(vectors_KD.shape),
            )
        fine = list(self.layers) == sorted(set(self.layers)) and all(
            0 <= layer < self.info.n_layers for layer in self.layers
        )
        if not (self.layers == (-1,) if self.info.site == "embed" else fine):
            raise DirectionError(
                f"'{self.info.name}' has vectors at blocks that the model does not have",
                where=self.path,
                expected="-1, the embedding"
                if self.info.site == "embed"
                else f"blocks 0 to {self.info.n_layers - 1}, ascending",
                found=list(self.layers),
                hint="state the right model, or the right way of counting layers (--base-model, --rows)",
            )

    @property
    def name(self) -> str:
        return self.info.name

    @cached_property
    def id(self) -> str:
        """16 hex digits: SHA-256 of the layers, the canonical facts and the vectors' bytes."""
        facts = {"layers": list(self.layers), "info": self.info.model_dump()}
        digest = hashlib.sha256(canonical_json(facts).encode("utf-8"))
        digest.update(self.vectors_KD.numpy().tobytes())
        return digest.hexdigest()[:16]

    def at(self, layers: Sequence[int]) -> Tensor:
        """The vectors of some layers, float32 [len(layers), D]. Raises `UsageError` for a layer without one."""
        return rows_at(self.vectors_KD, layers, self.layers, self.name, self.path)

    def check_fits(self, base_fingerprint: str, hidden_size: int, n_layers: int, name: str) -> None:
        """As `Direction.check_fits`."""
        refuse_other_base(self.info, self.path, base_fingerprint, hidden_size, n_layers, name)

    def norms_K(self) -> Tensor:
        """Norm of each vector, float64 [K]."""
        return row_norms(self.vectors_KD)

    def rows(self) -> dict[int, Tensor]:
        """Block: vector [D]."""
        return dict(zip(self.layers, self.vectors_KD, strict=True))

    @classmethod
    def of(cls, direction: Direction, layers: tuple[int, ...] | None = None) -> LayerVectors:
        """Some rows of a direction, all unless told.

        Raises:
            DirectionError: The direction has no such layer.
        """
        own = range(direction.info.n_layers)
        chosen = tuple(own) if layers is None else tuple(sorted(set(layers)))
        if not chosen or not set(chosen) <= set(own):
            raise DirectionError(
                f"the direction '{direction.name}' has no such layers",
                where=direction.path,
                expected=f"some of 0 to {len(own) - 1}",
                found=list(chosen),
            )
        return cls(chosen, direction.vectors_LD[list(chosen)], direction.info, direction.path)

    def save(self, path: str | Path) -> None:
        """Write safetensors: `vectors` [K, D], `layers` int64 [K], the facts as JSON in the metadata."""
        tensors = {"vectors": self.vectors_KD, "layers": torch.tensor(self.layers, dtype=torch.int64)}
        save_tensors(path, tensors, {KEY: canonical_json(self.info.model_dump())})

    @classmethod
    def load(cls, path: str | Path) -> LayerVectors:
        """Read a file of `save`, also a stranger's.

        Raises:
            FileError: Not safetensors, or other tensors.
            DirectionError: Facts missing or wrong, or vectors that cannot be used.
        """
        path = Path(path)
        expect = {"vectors": (None, None), "layers": (None,)}
        tensors, metadata = load_tensors(path, expect=expect, finite=False)
        info = info_in(metadata.get(KEY, ""), path)
        if tensors["layers"].dtype != torch.int64:
            raise DirectionError(f"the layers of {path.name} are not whole numbers", where=path)
        return cls(tuple(tensors["layers"].tolist()), tensors["vectors"], info, path)


Layered = Direction | LayerVectors
"""Vectors by layer: at every block, or at some."""


def load_layered(path: str | Path) -> Layered:
    """Read a file of vectors that Axenic wrote, whichever of the two it holds.

    Raises:
        FileError, DirectionError: As `Direction.load` and `LayerVectors.load`.
    """
    path = Path(path)
    _, metadata = inspect_tensors(path)
    return LayerVectors.load(path) if KEY in metadata else Direction.load(path)


def info_in(text: str, path: Path) -> DirectionInfo:
    """Facts as they are written into files.

    Raises:
        DirectionError: Not JSON, or not all that must be known.
    """
    try:
        return DirectionInfo.model_validate(parse_json(text.encode("utf-8", "surrogatepass")))
    except (ValidationError, ValueError) as error:
        raise DirectionError(
            f"{path.name} does not say all it must about its vectors",
            where=path,
            expected=f"the facts {', '.join(DirectionInfo.model_fields)}",
            found="; ".join(f"{'.'.join(map(str, e['loc'])) or 'facts'}: {e['msg']}" for e in error.errors())
            if isinstance(error, ValidationError)
            else error,
            hint=f"axenic import {path} --base-model MODEL",
        ) from error
