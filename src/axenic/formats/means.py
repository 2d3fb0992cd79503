"""The authors' mean activations: {"question" | "answer": {"layer_0": [D], ...}}, layer i = output of block i.

A direction is the answer means over misaligned answers minus those over aligned ones, so two files are needed. The
differences by layer that their code makes of them, {"layer_0": [D], ...} or a list, are read and written as they are.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from axenic.directions import load_published_means
from axenic.directions.layer_vectors import LayerVectors
from axenic.errors import DirectionError, FileError
from axenic.formats.facts import Facts
from axenic.formats.source import Description, Source, open_source, text_in, vector_of
from axenic.formats.tensor_file import write_tensors

_LAYER = re.compile(r"layer_(\d{1,6})")
SPANS = ("question", "answer")


def describe(source: Source, stated: Facts) -> Description | None:
    """Means, differences by layer, or the table `mean_diff`, `norm` of the published differences."""
    value = _nested(source)
    model = text_in(source.metadata.get("base_model"))
    says = Facts(name=source.path.stem, base_model=model, site="resid_post", operation="add")
    if isinstance(value, dict) and set(value) == {"mean_diff", "norm"}:
        return Description("means", "a table of published mean differences", says)
    if _layers(value) is not None:
        return Description("means", "a difference of mean activations by layer", says)
    if isinstance(value, dict) and value and set(value) <= set(SPANS) and all(map(_layers, value.values())):
        span = stated.span or ("answer" if "answer" in value else "question")
        says = replace(says, span=span, positions=span)
        notes = ("means are not a direction: theirs minus those of --minus are",)
        return Description("means", "mean activations of the authors' code", says, ("minus",), notes)
    return None


def read(source: Source, known: Facts) -> dict[int, Tensor]:
    """Block: vector, or the difference to the means of `known.minus`."""
    value = _nested(source)
    if isinstance(value, dict) and "mean_diff" in value:
        return dict(enumerate(load_published_means(source.path).vectors_LD))
    if known.span is None:
        return _vectors(value, source.path)
    assert known.minus is not None
    other = open_source(Path(known.minus), allow_pickle=source.allow_pickle)
    ours = _vectors(_part(value, known.span, source.path), source.path)
    theirs = _vectors(_part(_nested(other), known.span, other.path), other.path)
    sizes = [{layer: len(row) for layer, row in rows.items()} for rows in (ours, theirs)]
    if sizes[0] != sizes[1]:
        raise DirectionError(
            "the two files of means are of different models",
            where=other.path,
            expected=f"{len(ours)} layers as in {source.path.name}, of the same widths",
            found=f"{len(theirs)} layers",
        )
    # In float64: the files are bfloat16, and the difference of two means is small beside them.
    return {layer: (ours[layer].double() - theirs[layer].double()).float() for layer in ours}


def write(vectors: LayerVectors, path: Path) -> tuple[str, ...]:
    """Write {"layer_0": [D], ...} in float32, as the authors' code takes its directions.

    Raises:
        DirectionError: Another site.
    """
    if vectors.info.site != "resid_post":
        raise DirectionError(
            "the authors' files hold outputs of blocks", where=vectors.path, found=vectors.info.site
        )
    write_tensors(path, {f"layer_{layer}": row.clone() for layer, row in vectors.rows().items()})
    return ()


def _nested(source: Source) -> Any:
    """Safetensors names `answer.layer_0` as the dictionaries of the pickled form."""
    if source.container != "safetensors" or not all("." in name for name in source.value):
        return source.value
    nested: dict[str, dict[str, Tensor]] = {}
    for name, tensor in source.value.items():
        span, _, layer = name.partition(".")
        nested.setdefault(span, {})[layer] = tensor
    return nested


def _part(value: Any, span: str, path: Path) -> Any:
    if not isinstance(value, dict) or span not in value:
        raise FileError(f"{path.name} holds no means of the {span}", where=path, expected=" or ".join(SPANS))
    return value[span]


def _layers(value: Any) -> list[int] | None:
    """Layer numbers of {"layer_i": tensor} or of a list of tensors; None for anything else."""
    if isinstance(value, list) and value and all(isinstance(row, Tensor) for row in value):
        return list(range(len(value)))
    if not isinstance(value, dict) or not value:
        return None
    found = [_LAYER.fullmatch(name) if isinstance(name, str) else None for name in value]
    if not all(found) or not all(isinstance(row, Tensor) for row in value.values()):
        return None
    return [int(match[1]) for match in found if match]


def _vectors(value: Any, path: Path) -> dict[int, Tensor]:
    layers = _layers(value)
    if layers is None or len(set(layers)) != len(layers):
        raise FileError(
            f"{path.name} does not hold one vector for each layer",
            where=path,
            expected="layer_0, layer_1, ...",
        )
    rows = value if isinstance(value, list) else list(value.values())
    return {layer: vector_of(row, f"layer_{layer}", path) for layer, row in zip(layers, rows, strict=True)}
