"""`SteeringVector` of the steering-vectors library: `layer_activations` {block: [D]} and a `layer_type`.

The library (0.12) has no file format: people pickle the object or its dictionary. Both are read (with --allow-pickle).
What is written is safetensors, `layer_activations.N` and the metadata `layer_type`:

    tensors = safetensors.torch.load_file(file)
    SteeringVector({int(name.rpartition(".")[2]): v for name, v in tensors.items()}, layer_type="decoder_block")
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from axenic.directions import Site
from axenic.directions.layer_vectors import LayerVectors, info_in
from axenic.errors import DirectionError, FileError
from axenic.files import canonical_json, save_tensors
from axenic.formats.facts import Facts
from axenic.formats.pickles import Plain
from axenic.formats.source import Description, Source, vector_of, whole

FORMAT, KIND, FACTS = (
    "steering-vectors",
    "steering_vectors.steering_vector.SteeringVector",
    "axenic_direction_facts",
)
SITES: dict[str, Site] = {"decoder_block": "resid_post", "self_attn": "attn_out", "mlp": "mlp_out"}
_NAME = re.compile(r"layer_activations\.(\d{1,6})")


def describe(source: Source, stated: Facts) -> Description | None:
    """A pickled `SteeringVector`, a pickled {block: vector}, or our safetensors form."""
    value = source.value
    title = "a SteeringVector of the steering-vectors library"
    if source.container == "safetensors" and value and all(_NAME.fullmatch(name) for name in value):
        if FACTS in source.metadata:
            return Description(FORMAT, title, carried=info_in(source.metadata[FACTS], source.path))
        return Description(FORMAT, title, _says(source, source.metadata.get("layer_type", "decoder_block")))
    if isinstance(value, Plain) and value.kind == KIND:
        return Description(FORMAT, title, _says(source, value.fields.get("layer_type", "decoder_block")))
    if (
        source.container == "pickle"
        and isinstance(value, dict)
        and value
        and all(type(key) is int for key in value)
    ):
        return Description(FORMAT, "a dictionary of vectors by layer", _says(source, "decoder_block"))
    return None


def read(source: Source, known: Facts) -> dict[int, Tensor]:
    """Block: vector."""
    value: Any = source.value
    if source.container == "safetensors":
        value = {int(name.rpartition(".")[2]): tensor for name, tensor in value.items()}
    elif isinstance(value, Plain):
        value = value.fields.get("layer_activations")
    if not isinstance(value, dict) or not value:
        raise FileError(f"{source.path.name} has no layer_activations", where=source.path)
    return {
        whole(layer, "a layer", source.path): vector_of(row, f"layer {layer}", source.path)
        for layer, row in value.items()
    }


def write(vectors: LayerVectors, path: Path) -> tuple[str, ...]:
    """Write the safetensors form.

    Raises:
        DirectionError: A site that the library has no layer type for.
    """
    types = {site: layer_type for layer_type, site in SITES.items()}
    if vectors.info.site not in types:
        raise DirectionError(
            f"steering-vectors has no layer type for the site {vectors.info.site}",
            where=vectors.path,
            expected=", ".join(types),
            found=vectors.info.site,
        )
    tensors = {f"layer_activations.{layer}": row for layer, row in vectors.rows().items()}
    metadata = {
        "format": FORMAT, "layer_type": types[vectors.info.site], FACTS: canonical_json(vectors.info.model_dump())
    }  # fmt: skip
    save_tensors(path, tensors, metadata)
    return ()


def _says(source: Source, layer_type: Any) -> Facts:
    if not isinstance(layer_type, str) or layer_type not in SITES:
        raise FileError(
            f"{source.path.name} acts on a layer type that Axenic has no site for",
            where=source.path,
            expected=", ".join(SITES),
            found=ascii(layer_type)[:60],
        )
    return Facts(name=source.path.stem, site=SITES[layer_type], operation="add")
