"""Everybody's files of vectors: read into Axenic's conventions, and written for other programs."""

from axenic.directions.layer_vectors import LayerVectors
from axenic.formats.exporting import FORMATS, Exported, Format, export_direction, format_called
from axenic.formats.facts import Facts
from axenic.formats.importing import Detected, detect, import_vectors
from axenic.formats.pickles import read_pickle
from axenic.formats.scalars import LoraScalars

__all__ = [
    "FORMATS",
    "Detected",
    "Exported",
    "Facts",
    "Format",
    "LayerVectors",
    "LoraScalars",
    "detect",
    "export_direction",
    "format_called",
    "import_vectors",
    "read_pickle",
]
