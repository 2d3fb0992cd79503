"""Directions in activation space: the file, its facts, and the algebra on them."""

from axenic.directions.algebra import Vectors, cosines, cosines_with, norms, random_like
from axenic.directions.comparison import DirectionComparison, compare_directions
from axenic.directions.direction import Direction
from axenic.directions.imported import import_direction
from axenic.directions.info import DirectionInfo, Operation, Site
from axenic.directions.layer_vectors import Layered, LayerVectors, load_layered
from axenic.directions.published import (
    PublishedDirection,
    load_published_means,
)

__all__ = [
    "Direction",
    "DirectionComparison",
    "DirectionInfo",
    "LayerVectors",
    "Layered",
    "Operation",
    "PublishedDirection",
    "Site",
    "Vectors",
    "compare_directions",
    "cosines",
    "cosines_with",
    "import_direction",
    "load_layered",
    "load_published_means",
    "norms",
    "random_like",
]
