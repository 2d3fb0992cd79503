"""The direction: one vector per layer toward *more misaligned*, with everything needed to use it rightly."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from axenic.directions.info import DirectionInfo
from axenic.errors import DirectionError, UsageError
from axenic.files import canonical_json, load_tensors, parse_json, save_tensors

TENSOR, KEY = "vectors", "axenic_direction"
SOME_LAYERS = "axenic_layer_vectors"
"""Key of the facts in a file of `LayerVectors`."""

IMPORT_HINT = "axenic import FILE says what it is, and what it must be told"
AGAIN_HINT = "axenic extract --organism RUN makes it anew"


@dataclass(frozen=True, eq=False)
class Direction:
    """Vectors [L, D] and their facts; checked when made, so every `Direction` that exists is usable.

    Args:
        vectors_LD: float32, row l for the output of block l; kept on the CPU. Finite, no row of norm zero.
        info: The facts; `n_layers` and `hidden_size` must be L and D.
        path: The file it was read from, for messages; not part of its identity.

    Raises:
        DirectionError: Another dtype or shape, NaN, a zero row, or `unit` rows whose norm is not 1.
    """

    vectors_LD: Tensor
    info: DirectionInfo
    path: Path | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        vectors_LD = self.vectors_LD.detach().to("cpu").contiguous()
        object.__setattr__(self, "vectors_LD", vectors_LD)
        check_vectors(vectors_LD, self.info.name, self.path)
        shape = (self.info.n_layers, self.info.hidden_size)
        if vectors_LD.shape != shape:
            raise DirectionError(
                f"direction '{self.info.name}' has vectors of another shape than its facts say",
                where=self.path,
                expected=f"{list(shape)} (n_layers, hidden_size)",
                found=list(vectors_LD.shape),
                hint=AGAIN_HINT,
            )
        off_L = (self.norms_L() - 1.0).abs()
        if self.info.normalisation == "unit" and bool((off_L > 1e-3).any()):
            layer = int(off_L.argmax())
            raise DirectionError(
                f"direction '{self.info.name}' says unit, and is not",
                where=self.path,
                expected="every row of norm 1",
                found=f"norm {float(self.norms_L()[layer]):.6g} at layer {layer}",
                hint=AGAIN_HINT,
            )

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def layers(self) -> tuple[int, ...]:
        """All blocks of the model."""
        return tuple(range(self.info.n_layers))

    def at(self, layers: Sequence[int]) -> Tensor:
        """The vectors of some layers, float32 [len(layers), D]. Raises `UsageError` for a layer without one."""
        return rows_at(self.vectors_LD, layers, self.layers, self.name, self.path)

    @cached_property
    def id(self) -> str:
        """16 hex digits: SHA-256 of the canonical facts and the vectors' bytes."""
        digest = hashlib.sha256(canonical_json(self.info.model_dump()).encode("utf-8"))
        digest.update(self.vectors_LD.numpy().tobytes())
        return digest.hexdigest()[:16]

    def norms_L(self) -> Tensor:
        """Norm of each layer's vector, float64 [L], in the units of `normalisation`."""
        return row_norms(self.vectors_LD)

    def unit_LD(self) -> Tensor:
        """Every layer's vector scaled to norm 1, float32 [L, D]."""
        return (self.vectors_LD.double() / self.norms_L()[:, None]).float()

    def save(self, path: str | Path) -> None:
        """Write the direction file: safetensors, tensor `vectors`, the facts as JSON in the metadata.

        Raises:
            DirectionError: A fact cannot be written as JSON.
            FileError, DiskFullError: The file cannot be written.
        """
        save_tensors(path, {TENSOR: self.vectors_LD}, {KEY: canonical_json(self.info.model_dump())})

    @classmethod
    def load(cls, path: str | Path) -> Direction:
        """Read a direction file, also a stranger's.

        Raises:
            FileError: Missing, a pickle, not safetensors, other tensors than `vectors` [L, D].
            DirectionError: Facts missing, unknown or wrong, or vectors that cannot be used.
        """
        path = Path(path)
        tensors, metadata = load_tensors(path, finite=False)
        if SOME_LAYERS in metadata:
            raise DirectionError(
                f"{path.name} has vectors at some layers only, and all are needed here",
                where=path,
                expected="a direction: a vector at every layer",
                found="layer vectors",
                hint="axenic steer, ablate, transfer, tokens, correction and bake take them; axenic extract makes a direction",
            )
        if KEY not in metadata:
            raise DirectionError(
                f"{path.name} does not say what its vectors are",
                where=path,
                expected=f"metadata {KEY} with the facts {', '.join(DirectionInfo.model_fields)}",
                found=f"tensors {', '.join(tensors) or 'none'}; metadata {', '.join(metadata) or 'none'}",
                hint=IMPORT_HINT,
            )
        try:
            facts = parse_json(metadata[KEY].encode("utf-8"))
        except ValueError as error:
            raise DirectionError(
                f"the facts of {path.name} are not JSON", where=path, found=error, hint=IMPORT_HINT
            ) from error
        try:
            info = DirectionInfo.model_validate(facts)
        except ValidationError as error:
            raise DirectionError(
                f"{path.name} does not say all it must about its vectors",
                where=path,
                expected=f"the facts {', '.join(DirectionInfo.model_fields)}",
                found="; ".join(f"{'.'.join(map(str, e['loc'])) or KEY}: {e['msg']}" for e in error.errors()),
                hint=IMPORT_HINT,
            ) from error
        if set(tensors) != {TENSOR}:
            raise DirectionError(
                f"{path.name} holds other tensors than a direction",
                where=path,
                expected=TENSOR,
                found=", ".join(sorted(tensors)) or "none",
            )
        return cls(tensors[TENSOR], info, path)

    def check_fits(self, base_fingerprint: str, hidden_size: int, n_layers: int, name: str) -> None:
        """Refuse a model that the direction was not extracted from.

        Args:
            base_fingerprint: Content hash of the loaded base model.
            hidden_size: Its D.
            n_layers: Its L.
            name: What the user called it.

        Raises:
            DirectionError: Any of the three differs.
        """
        refuse_other_base(self.info, self.path, base_fingerprint, hidden_size, n_layers, name)


def refuse_other_base(
    own: DirectionInfo, path: Path | None, base_fingerprint: str, hidden_size: int, n_layers: int, name: str
) -> None:
    """Refuse a model that vectors with these facts were not made on. Raises `DirectionError`."""
    if (base_fingerprint, hidden_size, n_layers) == (own.base_fingerprint, own.hidden_size, own.n_layers):
        return
    raise DirectionError(
        f"direction '{own.name}' was extracted from {own.base_model}, but the loaded model is {name}",
        where=path,
        expected=_model_facts(own.base_fingerprint, own.hidden_size, own.n_layers),
        found=_model_facts(base_fingerprint, hidden_size, n_layers),
        hint=f"axenic extract --model {name} --organism RUN, which takes one from an organism of this model",
    )


def rows_at(
    vectors_KD: Tensor, layers: Sequence[int], own: Sequence[int], name: str, path: Path | None
) -> Tensor:
    """The rows [len(layers), D] of some layers, where row k belongs to layer `own[k]`.

    Raises:
        UsageError: A layer without a vector; names those that have one.
    """
    lacking = [layer for layer in layers if layer not in own]
    if lacking:
        all_of_them = tuple(own) == tuple(range(len(own)))
        raise UsageError(
            f"direction '{name}' has no vector at layer {', '.join(map(str, lacking))}",
            where=path,
            expected=f"0 to {len(own) - 1}"
            if all_of_them
            else f"one of the layers that have one: {', '.join(map(str, own))}",
            found=list(layers),
        )
    return vectors_KD[[list(own).index(layer) for layer in layers]]


def row_norms(vectors_LD: Tensor) -> Tensor:
    """Euclidean norm of each row of [L, D], in float64, [L]."""
    norms_L: Tensor = torch.linalg.vector_norm(vectors_LD.double(), dim=1)
    return norms_L


def check_vectors(
    vectors_LD: Tensor, name: str, path: Path | None, layers: Sequence[int] | None = None
) -> None:
    """Refuse vectors that cannot be a direction: not float32 [L, D], not finite, or a row of norm zero.

    `layers` are those of the rows, for messages; None: row l is layer l.

    Raises:
        DirectionError: Says the layer and the count.
    """
    if vectors_LD.dim() != 2 or vectors_LD.dtype != torch.float32 or vectors_LD.numel() == 0:
        raise DirectionError(
            f"direction '{name}' is not one vector per layer",
            where=path,
            expected="torch.float32 [n_layers, hidden_size]",
            found=f"{vectors_LD.dtype} {list(vectors_LD.shape)}",
        )
    bad_L = (~torch.isfinite(vectors_LD)).sum(dim=1)
    if bool(bad_L.any()):
        first = _layer_of(int(bad_L.bool().int().argmax()), layers)
        raise DirectionError(
            f"direction '{name}' holds values that are not finite",
            where=path,
            expected="no NaN and no infinity",
            found=f"{int(bad_L.sum()):,} of {vectors_LD.numel():,}, first at layer {first}",
            hint=AGAIN_HINT,
        )
    zero_L = row_norms(vectors_LD) == 0
    if bool(zero_L.any()):
        raise DirectionError(
            f"direction '{name}' is zero at layer {_layer_of(int(zero_L.int().argmax()), layers)}",
            where=path,
            expected="a vector of norm above 0 at every layer",
            found=f"{int(zero_L.sum())} of {len(zero_L)} layers are zero",
            hint=AGAIN_HINT,
        )


def _layer_of(row: int, layers: Sequence[int] | None) -> int:
    return layers[row] if layers is not None and row < len(layers) else row


def _model_facts(fingerprint: str, hidden_size: int, n_layers: int) -> str:
    return f"fingerprint {fingerprint}, hidden size {hidden_size}, {n_layers} layers"
