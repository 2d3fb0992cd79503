"""`SteeringVector` of vllm-lens as JSON: `activations` (base64), `layer_indices`, `scale`, `norm_match`,
`position_indices`.

Read as its `model_dump()` writes it (zstd-compressed, or plain as older versions did); written plain, which every version
reads. Layer i is the output of block i, 0-based; `scale` times the activations is added.
"""

from __future__ import annotations

import base64
import binascii
import math
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from axenic.directions.layer_vectors import LayerVectors, info_in
from axenic.errors import DirectionError, FileError
from axenic.files import canonical_json, write_json
from axenic.formats.facts import Facts
from axenic.formats.source import Description, Source, real, vector_of, whole

FORMAT, FACTS = "vllm-lens", "axenic_direction"
_DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "int16": torch.bfloat16,
}
"""numpy's name of the stored numbers; int16 are the bits of a bfloat16."""


def describe(source: Source, stated: Facts) -> Description | None:
    """A JSON object with `activations` and `layer_indices`."""
    value = source.value
    if (
        source.container != "json"
        or not isinstance(value, dict)
        or not {"activations", "layer_indices"} <= set(value)
    ):
        return None
    title = "a SteeringVector of vllm-lens"
    if isinstance(value.get(FACTS), str):
        return Description(FORMAT, title, carried=info_in(value[FACTS], source.path))
    return Description(FORMAT, title, Facts(name=source.path.stem, site="resid_post", operation="add"))


def read(source: Source, known: Facts) -> dict[int, Tensor]:
    """Block: scale times its activation."""
    value, path = source.value, source.path
    scale = real(value.get("scale", 1.0), "the scale", path)
    if value.get("norm_match", False) is not False or value.get("position_indices") is not None:
        raise DirectionError(
            f"{path.name} does more than add a vector",
            where=path,
            expected="norm_match false and no position_indices",
            found=f"norm_match {ascii(value.get('norm_match'))[:20]}, "
            f"position_indices {ascii(value.get('position_indices'))[:40]}",
        )
    activations = _tensor(value["activations"], path)
    layers = value["layer_indices"]
    if not isinstance(layers, list) or activations.dim() != 2 or len(layers) != len(activations):
        raise FileError(
            f"the activations of {path.name} are not one vector for each layer",
            where=path,
            expected="activations [layers, D] and as many layer_indices",
            found=f"{list(activations.shape)} and {len(layers) if isinstance(layers, list) else ascii(layers)[:40]}",
        )
    numbers = [whole(layer, "a layer index", path) for layer in layers]
    if len(set(numbers)) != len(numbers):
        raise FileError(f"{path.name} names a layer twice", where=path, found=numbers[:20])
    return {
        layer: (vector_of(row, f"layer {layer}", path).double() * scale).float()
        for layer, row in zip(numbers, activations, strict=True)
    }


def write(vectors: LayerVectors, path: Path) -> tuple[str, ...]:
    """Write it with scale 1.

    Raises:
        DirectionError: Another site than `resid_post`.
    """
    if vectors.info.site != "resid_post":
        raise DirectionError(
            f"'{vectors.name}' cannot be a SteeringVector of vllm-lens",
            where=vectors.path,
            expected="vectors added to the output of a block (resid_post)",
            found=f"vectors added to {vectors.info.site}",
        )
    raw = vectors.vectors_KD.contiguous().numpy().tobytes()
    write_json(
        path,
        {
            "activations": {
                "data": base64.b64encode(raw).decode("ascii"),
                "dtype": "float32",
                "original_dtype": "torch.float32",
                "shape": list(vectors.vectors_KD.shape),
            },
            "layer_indices": list(vectors.layers),
            "scale": 1.0,
            "norm_match": False,
            "position_indices": None,
            FACTS: canonical_json(vectors.info.model_dump()),
        },
    )
    return ()


def _tensor(value: Any, path: Path) -> Tensor:
    """The base64 dictionary as a tensor; its length is known before anything is inflated."""
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("data"), str)
        or str(value.get("dtype")) not in _DTYPES
    ):
        raise FileError(
            f"the activations of {path.name} are not a tensor as vllm-lens writes it",
            where=path,
            expected="data (base64), dtype, shape",
            found=ascii(sorted(value, key=str))[:120] if isinstance(value, dict) else type(value).__name__,
        )
    shape, dtype = value.get("shape"), _DTYPES[str(value["dtype"])]
    if not isinstance(shape, list) or not 1 <= len(shape) <= 3:
        raise FileError(f"the activations of {path.name} have no shape", where=path, found=ascii(shape)[:60])
    sizes = [whole(size, "a size", path) for size in shape]
    if min(sizes) < 1:
        raise FileError(f"the activations of {path.name} have no numbers", where=path, found=sizes)
    try:
        raw = base64.b64decode(value["data"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise FileError(f"the activations of {path.name} are not base64", where=path, found=error) from error
    n_bytes = math.prod(sizes) * dtype.itemsize
    if value.get("compression") == "zstd" and n_bytes < 2**30:
        raw = _inflated(raw, n_bytes, path)
    if len(raw) != n_bytes:
        raise FileError(
            f"the activations of {path.name} are of another length than their shape",
            where=path,
            expected=f"{n_bytes:,} bytes for {sizes}",
            found=f"{len(raw):,} bytes",
        )
    return torch.frombuffer(bytearray(raw), dtype=dtype).reshape(sizes)


def _inflated(raw: bytes, n_bytes: int, path: Path) -> bytes:
    try:
        zstandard = import_module("zstandard")
    except ImportError as error:
        raise FileError(
            f"{path.name} is compressed with zstd, which Python cannot read by itself",
            where=path,
            hint="pip install zstandard, then the same command again",
        ) from error
    try:
        with zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(raw) as reader:
            return bytes(reader.read(n_bytes + 1))
    except zstandard.ZstdError as error:
        raise FileError(f"the activations of {path.name} are not zstd", where=path, found=error) from error
