"""Steering vectors trained by the authors' code: {steering_vector [D], layer_idx, d_model, alpha, approach}.

alpha times the vector is added to the output of `mlp.down_proj` of block `layer_idx`, 0-based. Older files of the
viewer are a bare [D, 1] without alpha and layer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from axenic.directions.layer_vectors import LayerVectors
from axenic.errors import DirectionError, FileError
from axenic.files import atomic_folder, write_json
from axenic.formats.facts import Facts
from axenic.formats.source import Description, Source, real, text_in, vector_of, whole
from axenic.formats.tensor_file import write_tensors

FORMAT, SIDE = "trained-vector", "adapter_config.json"
GEMMA = (
    "it is added before the norm that Gemma 2 and 3 put behind the MLP; there no site of Axenic is the same"
)


def describe(source: Source, stated: Facts) -> Description | None:
    """The dictionary, its safetensors form, or one bare vector."""
    fields, side = _fields(source), source.beside.get(SIDE, {})
    # resid_post is the same where no norm follows the MLP, and then the user may say so.
    site = stated.site if stated.site in ("mlp_out", "resid_post") else "mlp_out"
    if fields is not None:
        layer, alpha = fields.get("layer_idx", side.get("layer_idx")), fields.get("alpha", side.get("alpha"))
        says = Facts(
            name=source.path.parent.name or "steering-vector",
            base_model=text_in(side.get("base_model")),
            layer=None if layer is None else whole(_number(layer, int), "layer_idx", source.path),
            alpha=None if alpha is None else real(_number(alpha, float), "alpha", source.path),
            site=site,
            operation="add",
            positions="every token, in training",
        )
        return Description(
            FORMAT, "a steering vector of the authors' trainer", says, ("layer", "alpha"), (GEMMA,)
        )
    bare = _bare(source)
    if bare is None:
        return None
    column = bare.dim() == 2
    model = text_in(source.beside.get("metadata.json", {}).get("model_name"))
    says = Facts(
        name=source.path.stem, base_model=model, operation="add", site=site if column else stated.site
    )
    title = "a checkpoint of the authors' viewer" if column else "one bare vector"
    needs = ("layer", "alpha") if column else ("layer", "alpha", "site")
    return Description(FORMAT, f"{title} {list(bare.shape)}", says, needs, (GEMMA,) if column else ())


def read(source: Source, known: Facts) -> dict[int, Tensor]:
    """Block: alpha times the vector."""
    fields = _fields(source)
    stored = _bare(source) if fields is None else fields["steering_vector"]
    vector_D = vector_of(stored, "steering_vector", source.path)
    size = None if fields is None else fields.get("d_model")
    if size is not None and _number(size, int) != len(vector_D):
        raise FileError(
            f"{source.path.name} says another width than its vector has",
            where=source.path,
            expected=f"d_model {ascii(size)[:20]}",
            found=len(vector_D),
        )
    assert known.layer is not None
    assert known.alpha is not None
    return {known.layer: (vector_D.double() * known.alpha).float()}


def write(vectors: LayerVectors, path: Path) -> tuple[str, ...]:
    """Write the folder `steering_vector.pt`, `adapter_config.json`, with alpha 1.

    Raises:
        DirectionError: Not one vector at one block, or another site.
    """
    if len(vectors.layers) != 1 or vectors.info.site not in ("mlp_out", "resid_post"):
        raise DirectionError(
            f"'{vectors.name}' is not one steering vector",
            where=vectors.path,
            expected="a vector at one block, added to mlp_out or resid_post",
            found=f"{len(vectors.layers)} at {vectors.info.site}",
            hint="choose one: --layers N",
        )
    (layer,), vector_D = vectors.layers, vectors.vectors_KD[0].clone()
    facts: dict[str, Any] = {"layer_idx": layer, "alpha": 1.0, "approach": "toggle_based"}
    with atomic_folder(path) as folder:
        write_tensors(
            folder / "steering_vector.pt", {"steering_vector": vector_D, "d_model": len(vector_D), **facts}
        )
        side = {
            "adapter_type": "steering_vector_toggle", "base_model": vectors.info.base_model,
            "hidden_size": len(vector_D), "steering_vector_path": "steering_vector.pt", "memory_efficient": True, **facts,
        }  # fmt: skip
        write_json(folder / SIDE, side)
    return (GEMMA,) if vectors.info.site == "resid_post" else ()


def _fields(source: Source) -> dict[str, Any] | None:
    """The dictionary; of safetensors, the tensor and the metadata as one."""
    value = {**source.metadata, **source.value} if source.container == "safetensors" else source.value
    return value if isinstance(value, dict) and isinstance(value.get("steering_vector"), Tensor) else None


def _bare(source: Source) -> Tensor | None:
    value = source.value
    if source.container == "safetensors" and len(value) == 1:
        (value,) = value.values()
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.numel() < 2:
        return None
    return value if value.dim() <= 2 and max(value.shape) == value.numel() else None


def _number(value: Any, kind: type[int] | type[float]) -> Any:
    """Metadata of safetensors is text."""
    if not isinstance(value, str) or len(value) > 40:
        return value
    try:
        return kind(value)
    except ValueError:
        return value
