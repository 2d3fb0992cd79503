"""refusal_direction: `direction.pt` [D] with `direction_metadata.json` {pos, layer}, and `mean_diffs.pt` [P, L, D].

"Layer" is the input of a block there: layer k = output of block k - 1, layer 0 = the embeddings.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from axenic.directions.layer_vectors import LayerVectors
from axenic.errors import DirectionError, FileError
from axenic.files import atomic_folder, write_json
from axenic.formats.facts import Facts
from axenic.formats.persona import by_block
from axenic.formats.source import Description, Source, vector_of, whole
from axenic.formats.tensor_file import write_tensors

FORMAT, SIDE = "refusal-direction", "direction_metadata.json"


def describe(source: Source, stated: Facts) -> Description | None:
    """A tensor [P, L, D], or one vector with `direction_metadata.json` beside it."""
    value = _tensor(source)
    if value is None:
        return None
    if value.dim() == 3:
        says = Facts(name=source.path.stem, site="resid_post", operation="project_out", rows="block_input")
        notes = ("row 0 (the embeddings) is left out; the output of the last block is not in such files",)
        return Description(
            FORMAT, f"mean differences {list(value.shape)} of refusal_direction", says, ("pos",), notes
        )
    if SIDE not in source.beside or max(value.shape, default=0) != value.numel():
        return None
    layer = whole(source.beside[SIDE].get("layer"), "layer", source.path.with_name(SIDE))
    says = Facts(
        name=source.path.parent.name or "direction",
        site="embed" if layer == 0 else "resid_post",
        operation="project_out",
        layer=layer - 1,
        positions=f"token {ascii(source.beside[SIDE].get('pos'))[:20]} of the prompt",
    )
    note = f"layer {layer} there is the input of block {layer}: " + (
        "the embeddings" if layer == 0 else f"the output of block {layer - 1}"
    )
    return Description(FORMAT, "a direction of refusal_direction", says, notes=(note,))


def read(source: Source, known: Facts) -> dict[int, Tensor]:
    """Block: vector."""
    value = _tensor(source)
    assert value is not None
    if value.dim() != 3:
        assert known.layer is not None
        return {known.layer: vector_of(value, "direction", source.path)}
    assert known.pos is not None
    if not -len(value) <= known.pos < len(value):
        raise DirectionError(
            f"{source.path.name} has no such position",
            where=source.path,
            expected=f"{-len(value)} to {len(value) - 1}",
            found=known.pos,
        )
    return by_block(value[known.pos], known, source.path)


def write(vectors: LayerVectors, path: Path) -> tuple[str, ...]:
    """Write the folder of one direction.

    Raises:
        DirectionError: Vectors at several blocks, at the last block, or at another site.
    """
    (layer, *more) = vectors.layers
    if more or vectors.info.site not in ("resid_post", "embed") or layer == vectors.info.n_layers - 1:
        raise DirectionError(
            f"'{vectors.name}' is not one direction at the input of a block",
            where=vectors.path,
            expected=f"one of blocks 0 to {vectors.info.n_layers - 2}, at resid_post",
            found=f"blocks {list(vectors.layers)[:8]} at {vectors.info.site}",
            hint="choose one: --layers N",
        )
    with atomic_folder(path) as folder:
        write_tensors(folder / "direction.pt", vectors.vectors_KD[0].clone())
        write_json(folder / SIDE, {"pos": -1, "layer": layer + 1})
    return (f"the output of block {layer} is layer {layer + 1} there; pos -1 is a placeholder",)


def _tensor(source: Source) -> Tensor | None:
    value = source.value
    if source.container == "safetensors" and len(value) == 1:
        (value,) = value.values()
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return None
    if value.numel() == 0:
        raise FileError(
            f"{source.path.name} holds an empty tensor", where=source.path, found=list(value.shape)
        )
    return value if value.dim() == 3 or max(value.shape, default=0) == value.numel() else None
