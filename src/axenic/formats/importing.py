"""The door: what a file is, and its vectors in Axenic's conventions."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from axenic.directions import Direction, DirectionInfo
from axenic.directions.layer_vectors import LayerVectors
from axenic.errors import DirectionError, FileError
from axenic.files import sha256_file
from axenic.formats import (
    control_vector,
    easysteer,
    means,
    own,
    persona,
    refusal,
    steering_vectors,
    trained,
    vllm_lens,
)
from axenic.formats.facts import Facts, ask_for, merged, missing
from axenic.formats.scalars import LoraScalars, is_scalars, read_scalars
from axenic.formats.source import Description, PickleNotAllowed, Source, open_source, real
from axenic.visible import visible


class Kind(Protocol):
    """A module of one format."""

    def describe(self, source: Source, stated: Facts) -> Description | None: ...

    def read(self, source: Source, known: Facts) -> dict[int, Tensor]: ...


GENERAL = ("base_model", "base_fingerprint", "n_layers")
NOT_STATED = "not stated"

_FORMATS: tuple[Kind, ...] = (
    own,
    control_vector,
    easysteer,
    vllm_lens,
    steering_vectors,
    means,
    refusal,
    trained,
    persona,
)
"""In this order: a single bare vector is refusal_direction's only with its side file, else one of the trainer's."""


class Detected(NamedTuple):
    """What a file is.

    Attributes:
        format: Short name; `pickle` where it may not be looked into, `lora-scalars` for scalars.
        title: In words.
        needs: Facts that must be stated before it can be imported.
        notes: What is worth knowing.
    """

    format: str
    title: str
    needs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def detect(path: str | Path, facts: Facts | None = None, *, allow_pickle: bool = False) -> Detected:
    """Say what a file of vectors is, by its content.

    Args:
        path: A file, or a folder with one file of vectors.
        facts: What is known already; it is left out of `needs`.
        allow_pickle: Whether a pickle may be read (by a process of its own that knows tensors and text only).

    Raises:
        FileError, DirectionError: Damaged, or nothing that is known.
    """
    stated = facts or Facts()
    try:
        source = open_source(Path(path), allow_pickle=allow_pickle)
    except PickleNotAllowed:
        return Detected(
            "pickle", "a pickle (torch.save); what is in it is not looked at without --allow-pickle"
        )
    if is_scalars(source):
        return Detected("lora-scalars", "a table of LoRA scalars")
    _, found, known = _described(source, stated)
    return Detected(found.format, found.title, missing(known, _needed(found)), found.notes)


def import_vectors(
    path: str | Path, facts: Facts | None = None, *, allow_pickle: bool = False
) -> Direction | LayerVectors | LoraScalars:
    """Read a file of vectors of any known format.

    Layers are brought to "output of block l, 0-based", scales and alpha are multiplied in, the sign is the file's unless
    `facts.negate`.

    Args:
        path: A file, or a folder with one file of vectors.
        facts: What the file does not say; what it says must not be contradicted.
        allow_pickle: As for `detect`.

    Returns:
        A `Direction` where every block of the model has a vector; `LayerVectors` where some have; `LoraScalars`.

    Raises:
        FileError: Damaged, hostile, or of no known format.
        DirectionError: Facts are missing (one error for all of them, with the command to type), contradict the file, or
            the vectors cannot be used.
    """
    stated = facts or Facts()
    source = open_source(Path(path), allow_pickle=allow_pickle)
    if is_scalars(source):
        return read_scalars(source)
    kind, found, known = _described(source, stated)
    lacking = missing(known, _needed(found))
    if lacking:
        raise ask_for(lacking, source.path, found.title, pickled=source.container == "pickle")
    if known.alpha is not None:
        real(known.alpha, "alpha", source.path)
    rows = kind.read(source, known)
    widths = {len(row) for row in rows.values()}
    if len(widths) != 1 or (known.hidden_size is not None and widths != {known.hidden_size}):
        raise DirectionError(
            f"the vectors of {source.path.name} are not of the model's width",
            where=source.path,
            expected=f"width {known.hidden_size or 'equal at every layer'}",
            found=f"width {', '.join(map(str, sorted(widths))) or 'of no vector'}",
            hint="they belong to another model: state theirs with --base-model",
        )
    return _made(rows, found, known, source)


def _described(source: Source, stated: Facts) -> tuple[Kind, Description, Facts]:
    """What the file is, and all that is known about it."""
    for kind in _FORMATS:
        found = kind.describe(source, stated)
        if found is not None:
            said = _said(found.carried) if found.carried else found.says
            return kind, found, merged(said, stated, source.path)
    raise FileError(
        f"{source.path.name} holds nothing that is known as vectors",
        where=source.path,
        expected="a GGUF control vector, a SteeringVector of steering-vectors or vllm-lens, a SteeringSpec of EasySteer, "
        "files of persona_vectors, refusal_direction or the authors, or Axenic's own",
        found=f"{source.container} of {_outline(source.value)}",
    )


def _said(info: DirectionInfo) -> Facts:
    """The facts of a file that Axenic wrote."""
    return Facts(
        name=info.name,
        base_model=info.base_model,
        base_fingerprint=info.base_fingerprint,
        tokenizer_fingerprint=info.tokenizer_fingerprint,
        hidden_size=info.hidden_size,
        n_layers=info.n_layers,
        site=info.site,
        operation=info.operation,
        positions=info.positions,
    )


def _needed(found: Description) -> tuple[str, ...]:
    return (*GENERAL, *found.needs)


def _made(
    rows: dict[int, Tensor], found: Description, known: Facts, source: Source
) -> Direction | LayerVectors:
    layers = tuple(sorted(rows))
    vectors_KD = torch.stack([rows[layer] for layer in layers])
    if known.negate:
        vectors_KD = -vectors_KD
    if found.carried is not None and not known.negate:
        # As carried, but for words that the user states otherwise.
        words = {
            "name": known.name,
            "base_model": known.base_model,
            "positions": known.positions,
            "operation": known.operation,
        }
        info = found.carried.model_copy(update=words)
    else:
        info = _info(found, known, source, vectors_KD.shape[1])
    if layers == tuple(range(info.n_layers)) and info.site != "embed":
        return Direction(vectors_KD, info, source.path)
    return LayerVectors(layers, vectors_KD, info, source.path)


def _info(found: Description, known: Facts, source: Source, width: int) -> DirectionInfo:
    """All facts of a direction; where a vector came from is recorded as far as somebody says it."""
    if known.base_model is None or known.base_fingerprint is None or known.n_layers is None:
        raise ask_for(missing(known, GENERAL), source.path, found.title, pickled=False)
    if known.n_layers < 1 or not known.base_model or not known.base_fingerprint:
        raise DirectionError(
            f"the facts stated for {source.path.name} cannot be meant", where=source.path, found=known
        )
    carried = found.carried
    recipe = {
        "kind": "imported",
        "format": found.format,
        "file": visible(source.path.name),
        "sha256": sha256_file(source.path),
        "alpha": known.alpha,
        "rows": known.rows,
        "minus": None if known.minus is None else sha256_file(Path(known.minus)),
        "negated": known.negate,
        "of": None if carried is None else carried.recipe,
    }
    return DirectionInfo(
        name=visible(known.name or source.path.stem) or "imported",
        operation=known.operation or "add",
        site=known.site or "resid_post",
        layer_convention="block_output_0",
        normalisation="raw" if carried is None else carried.normalisation,
        positions=known.positions or NOT_STATED,
        base_model=known.base_model,
        base_fingerprint=known.base_fingerprint,
        hidden_size=width,
        n_layers=known.n_layers,
        recipe={name: value for name, value in recipe.items() if value is not None},
        data_hash=NOT_STATED if carried is None else carried.data_hash,
        judge=NOT_STATED if carried is None else carried.judge,
        tokenizer_fingerprint=known.tokenizer_fingerprint or NOT_STATED,
        calibration={},
        created_by="axenic import",
    )


def _outline(value: object) -> str:
    """A few words on a value, safe to print."""
    if isinstance(value, Tensor):
        return f"one tensor {value.dtype} {list(value.shape)}"
    if isinstance(value, dict):
        return f"the keys {[str(key)[:40] for key in list(value)[:6]]!a}"
    return f"a {type(value).__name__}"


__all__ = ["Detected", "Facts", "detect", "import_vectors"]
