"""GGUF control vectors (repeng, llama.cpp, EasySteer): `direction.N` is added to the output of block N, 0-based.

llama.cpp refuses a file with `direction.0`: it has no place for one. Axenic writes the vector of block 0 into the
metadata instead, and its facts beside it; other readers skip both. Files of llama.cpp's own `cvector-generator` name the
vector read from block i `direction.{i+1}`; they are applied where they are named, and that is what is imported.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from axenic.directions.layer_vectors import LayerVectors, info_in
from axenic.errors import DirectionError, FileError
from axenic.files import canonical_json
from axenic.formats.facts import Facts
from axenic.formats.gguf_file import ARCHITECTURE, GGUF, write_gguf
from axenic.formats.source import Description, Source, text_in, vector_of

FACTS, BLOCK_0 = "axenic.direction", "axenic.block_0"
_NAME = re.compile(r"direction\.(\d{1,6})")


def describe(source: Source, stated: Facts) -> Description | None:
    """Any GGUF file; another architecture than `controlvector` is an error."""
    if source.container != "gguf":
        return None
    pairs = _gguf(source).pairs
    architecture = pairs.get("general.architecture")
    if architecture != ARCHITECTURE:
        raise FileError(
            f"{source.path.name} is a GGUF file, but no control vector",
            where=source.path,
            expected=f"general.architecture {ARCHITECTURE}",
            found=ascii(architecture)[:60],
        )
    hint = text_in(pairs.get("controlvector.model_hint"))
    notes = (f"made for a model of type {hint} (model_hint)",) if hint else ()
    title = "a GGUF control vector"
    if text_in(pairs.get(FACTS)):
        return Description("gguf", title, carried=info_in(pairs[FACTS], source.path))
    says = Facts(site="resid_post", operation="add", name=source.path.stem)
    return Description("gguf", title, says, notes=notes)


def read(source: Source, known: Facts) -> dict[int, Tensor]:
    """Block: vector."""
    file = _gguf(source)
    found: dict[int, Tensor] = {}
    for name, tensor in file.tensors.items():
        match = _NAME.fullmatch(name)
        if match is None or str(int(match[1])) != match[1]:
            raise FileError(
                f"{source.path.name} has a tensor that is no direction",
                where=source.path,
                expected="direction.N",
                found=ascii(name)[:60],
            )
        found[int(match[1])] = vector_of(tensor, name, source.path)
    first = file.pairs.get(BLOCK_0)
    if isinstance(first, list) and 0 not in found:
        if not first or not all(type(number) is float for number in first):
            raise FileError(f"{source.path.name} has no numbers in {BLOCK_0}", where=source.path)
        found[0] = torch.tensor(first, dtype=torch.float32)
    return found


def write(vectors: LayerVectors, path: Path, *, block_0: bool = False) -> tuple[str, ...]:
    """Write a control vector that llama.cpp and repeng load.

    Args:
        vectors: At site `resid_post`.
        path: The file.
        block_0: Write `direction.0` as a tensor, which EasySteer and repeng use and llama.cpp refuses.

    Returns:
        What the reader of the file should know.

    Raises:
        DirectionError: Another site.
    """
    rows = vectors.rows()
    if vectors.info.site != "resid_post":
        raise DirectionError(
            f"'{vectors.name}' cannot be a control vector",
            where=vectors.path,
            expected="vectors added to the output of a block (resid_post)",
            found=f"vectors added to {vectors.info.site}",
            hint="where no norm follows the MLP (not Gemma 2 and 3) the two are the same: import it with --site resid_post",
        )
    kept = {f"direction.{layer}": row.contiguous() for layer, row in rows.items() if layer > 0 or block_0}
    if not kept:
        raise DirectionError(
            f"'{vectors.name}' has a vector at block 0 only, where llama.cpp cannot add one",
            where=vectors.path,
        )
    info = canonical_json(vectors.info.model_dump())
    pairs: dict[str, str | int | list[float]] = {
        "general.architecture": ARCHITECTURE,
        "controlvector.model_hint": vectors.info.base_model,
        "controlvector.layer_count": len(kept),
        FACTS: info,
    }
    if 0 in rows and not block_0:
        pairs[BLOCK_0] = rows[0].tolist()
    write_gguf(path, pairs, kept)
    left_out = 0 in rows and not block_0
    return ("llama.cpp cannot add a vector at block 0; that one lies in the metadata",) if left_out else ()


def _gguf(source: Source) -> GGUF:
    assert isinstance(source.value, GGUF)
    return source.value
