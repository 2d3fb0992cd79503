"""Axenic's own files, so that `import` can say what they are: nothing needs converting."""

from __future__ import annotations

from torch import Tensor

from axenic.directions.direction import KEY as DIRECTION
from axenic.directions.layer_vectors import KEY as LAYERS
from axenic.directions.layer_vectors import info_in
from axenic.errors import FileError
from axenic.formats.facts import Facts
from axenic.formats.source import Description, Source


def describe(source: Source, stated: Facts) -> Description | None:
    """A file of `Direction.save` or `LayerVectors.save`."""
    for key, title in ((DIRECTION, "a direction of Axenic"), (LAYERS, "layer vectors of Axenic")):
        if key in source.metadata:
            return Description("axenic", title, carried=info_in(source.metadata[key], source.path))
    return None


def read(source: Source, known: Facts) -> dict[int, Tensor]:
    """Block: vector, as stored."""
    vectors, layers = source.value.get("vectors"), source.value.get("layers")
    if vectors is None or vectors.dim() != 2 or (layers is not None and layers.shape != vectors.shape[:1]):
        raise FileError(
            f"{source.path.name} does not hold its vectors",
            where=source.path,
            expected="vectors [K, D], and layers [K] unless it is a direction",
            found={name: list(tensor.shape) for name, tensor in source.value.items()},
        )
    blocks = range(len(vectors)) if layers is None else layers.tolist()
    if len(set(blocks)) != len(vectors) or not all(type(block) is int for block in blocks):
        raise FileError(f"{source.path.name} names a layer twice, or no whole number", where=source.path)
    return dict(zip(blocks, vectors.float(), strict=True))
