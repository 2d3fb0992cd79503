"""Directions in the files of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple, assert_never, get_args

import torch

from axenic.directions import Direction
from axenic.directions.layer_vectors import LayerVectors
from axenic.errors import UsageError
from axenic.formats import (
    control_vector,
    easysteer,
    means,
    persona,
    refusal,
    steering_vectors,
    trained,
    vllm_lens,
)

Format = Literal[
    "gguf",
    "easysteer",
    "vllm-lens",
    "steering-vectors",
    "persona-vectors",
    "refusal-direction",
    "trained-vector",
    "means",
]
FORMATS: tuple[Format, ...] = get_args(Format)


class Exported(NamedTuple):
    """What was written, and what its readers should know."""

    path: Path
    notes: tuple[str, ...]


def export_direction(
    direction: Direction | LayerVectors,
    path: str | Path,
    format: Format,
    *,
    layers: Sequence[int] | None = None,
    strength: float = 1.0,
) -> Exported:
    """Write a direction in the format of another program. Scales in the file are 1: its vectors are what is added.

    Args:
        direction: Whole, or vectors at some layers.
        path: The file; for `refusal-direction` and `trained-vector` a folder that does not exist yet. `persona-vectors` and
            `means` write `.pt` by torch.save when the name ends so, else safetensors.
        format: One of `FORMATS`.
        layers: Keep these blocks only; needed by formats of one vector. Programs that load a file with many vectors add
            all of them at once, which is more than any single one was tried at.
        strength: What the vectors are multiplied by.

    Raises:
        UsageError: No such format.
        DirectionError: The format cannot express these vectors.
        FileError, DiskFullError: It cannot be written.
    """
    path = Path(path)
    whole = LayerVectors.of(direction) if isinstance(direction, Direction) else direction
    chosen = _chosen(whole, layers, strength)
    if format == "gguf":
        notes = control_vector.write(chosen, path)
    elif format == "easysteer":
        notes = easysteer.write(chosen, path)
    elif format == "vllm-lens":
        notes = vllm_lens.write(chosen, path)
    elif format == "steering-vectors":
        notes = steering_vectors.write(chosen, path)
    elif format == "persona-vectors":
        notes = persona.write(chosen, path)
    elif format == "refusal-direction":
        notes = refusal.write(chosen, path)
    elif format == "trained-vector":
        notes = trained.write(chosen, path)
    elif format == "means":
        notes = means.write(chosen, path)
    else:
        assert_never(format)
    if len(chosen.layers) > 1 and format not in ("persona-vectors", "means"):
        notes += (f"most programs add all {len(chosen.layers)} vectors at once; --layers N exports one",)
    if chosen.info.operation != "add" and format != "refusal-direction":
        notes += ("it is meant for projecting out, and programs that load this format add it",)
    return Exported(path, notes)


def format_called(name: str) -> Format:
    """The format of this name.

    Raises:
        UsageError: There is none.
    """
    for known in FORMATS:
        if name == known:
            return known
    raise UsageError(
        f"there is no format {name!a}", where="--format", expected=", ".join(FORMATS), found=name
    )


def _chosen(vectors: LayerVectors, layers: Sequence[int] | None, strength: float) -> LayerVectors:
    """Some of the vectors, at another strength."""
    if layers is not None:
        lacking = sorted(set(layers) - set(vectors.layers))
        if lacking or not layers:
            raise UsageError(
                f"'{vectors.name}' has no vector at layer {lacking[0] if lacking else 'none'}",
                where="--layers",
                expected=", ".join(map(str, vectors.layers))[:200],
                found=", ".join(map(str, lacking)),
            )
        kept = sorted(set(layers))
        rows = vectors.rows()
        vectors = replace(
            vectors, layers=tuple(kept), vectors_KD=torch.stack([rows[layer] for layer in kept])
        )
    if strength == 1.0:
        return vectors
    info = vectors.info.model_copy(
        update={
            "normalisation": "raw",
            "calibration": {},
            "recipe": {"kind": "scaled", "strength": strength, "of": vectors.info.recipe},
        }
    )
    return replace(vectors, vectors_KD=(vectors.vectors_KD.double() * strength).float(), info=info)
