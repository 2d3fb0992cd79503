"""EasySteer's `SteeringSpec` as JSON, with its vectors in a GGUF file beside it.

One vector of algorithm `direct` is understood: `scale` times `direction.N` of the GGUF file `source` is added to the
output of block N, at the `layers` that the spec names. `source` must lie beside the spec: a stranger's file may not make
Axenic open another file of yours.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from axenic.directions.layer_vectors import LayerVectors
from axenic.errors import DirectionError, FileError
from axenic.files import write_json
from axenic.formats import control_vector
from axenic.formats.facts import Facts
from axenic.formats.gguf_file import read_gguf
from axenic.formats.source import Description, Source, real, text_in, whole

FORMAT = "easysteer"
_PLAIN: dict[str, Any] = {"algorithm": "direct", "normalize": False, "params": None}
"""Fields of a vector that would make it something else than an addition, and their defaults."""


def describe(source: Source, stated: Facts) -> Description | None:
    """A JSON object with a list `vectors`."""
    value = source.value
    if (
        source.container != "json"
        or not isinstance(value, dict)
        or not isinstance(value.get("vectors"), list)
    ):
        return None
    vector = _vector(source)
    beside = control_vector.describe(_beside(source, vector), stated)
    assert beside is not None
    applied = (
        f"applied to {ascii(vector['apply'])[:80]}" if "apply" in vector else "applied as the engine does"
    )
    if beside.carried is not None:
        return Description(FORMAT, "a SteeringSpec of EasySteer", carried=beside.carried, notes=(applied,))
    says = replace(beside.says, name=text_in(vector.get("name")) or source.path.stem)
    return Description(FORMAT, "a SteeringSpec of EasySteer", says, notes=(*beside.notes, applied))


def read(source: Source, known: Facts) -> dict[int, Tensor]:
    """Block: scale times its direction, at the layers of the spec."""
    vector, path = _vector(source), source.path
    scale, layers = real(vector.get("scale", 1.0), "the scale", path), vector.get("layers")
    rows = control_vector.read(_beside(source, vector), known)
    if layers is None:
        chosen = sorted(rows)
    elif isinstance(layers, list):
        chosen = [whole(layer, "a layer", path) for layer in layers]
    else:
        raise FileError(f"the layers of {path.name} are no list", where=path, found=ascii(layers)[:60])
    lacking = sorted(set(chosen) - set(rows))
    if lacking:
        raise FileError(
            f"{path.name} names layers that its vectors do not have",
            where=path,
            expected=f"some of {sorted(rows)}",
            found=lacking,
        )
    return {layer: (rows[layer].double() * scale).float() for layer in chosen}


def write(vectors: LayerVectors, path: Path) -> tuple[str, ...]:
    """Write the spec, and the vectors to the same name with `.gguf`.

    Raises:
        DirectionError: Another site than `resid_post`, or a name that takes the place of the vectors.
    """
    beside = path.with_suffix(".gguf")
    if beside == path:
        raise DirectionError(
            "the spec is JSON; its vectors take the name with .gguf", where=path, hint="--out FILE.json"
        )
    control_vector.write(vectors, beside, block_0=True)
    spec = {
        "vectors": [
            {
                "source": beside.name,
                "algorithm": "direct",
                "scale": 1.0,
                "layers": list(vectors.layers),
                "normalize": False,
                "apply": {"prompt": "all", "generation": "all"},
                "name": vectors.name,
            }
        ]
    }
    write_json(path, spec)
    return (f"the vectors are in {beside.name}; `source` is a path on the server, relative to where it runs",)


def _vector(source: Source) -> dict[str, Any]:
    """The one vector of the spec."""
    vectors = source.value["vectors"]
    if len(vectors) != 1 or not isinstance(vectors[0], dict):
        raise DirectionError(
            f"{source.path.name} is not a spec of one vector",
            where=source.path,
            expected="vectors: one object",
            found=f"{len(vectors)} vectors",
            hint="import the GGUF files that it names, one by one",
        )
    vector: dict[str, Any] = vectors[0]
    for key, plain in _PLAIN.items():
        if vector.get(key, plain) not in (plain, {}):
            raise DirectionError(
                f"{source.path.name} does more than add a vector",
                where=source.path,
                expected=f"{key} {plain}",
                found=f"{key} {ascii(vector[key])[:60]}",
            )
    return vector


def _beside(source: Source, vector: dict[str, Any]) -> Source:
    """The GGUF file that the spec names, in the spec's own folder."""
    name = vector.get("source")
    folder = source.path.absolute().parent.resolve()
    file = folder / name if isinstance(name, str) and name and name.isprintable() else None
    if file is None or len(str(file)) > 4000 or not file.resolve().is_relative_to(folder):
        raise FileError(
            f"{source.path.name} names no file of vectors beside it",
            where=source.path,
            expected=f"source: a GGUF file in {folder}",
            found=ascii(name)[:80],
            hint="put the file there, and its bare name into `source`",
        )
    return Source(file, "gguf", read_gguf(file))
