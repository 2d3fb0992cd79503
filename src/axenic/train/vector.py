"""Trained steering vectors and everybody's files of vectors: a run's vectors as what they add, and back as an organism.

With `axenic.formats` this reads and writes the authors' own files (formats F4):

    export_direction(added_vectors(opened, "runs/v"), "f4", "trained-vector")
    save_as_organism(import_vectors("f4", facts, allow_pickle=True), "organism")
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import torch

from axenic.directions import DirectionInfo, Site
from axenic.errors import ModelError
from axenic.files import atomic_folder
from axenic.formats import LayerVectors
from axenic.models import FAMILIES, OpenModel, VectorConfig, VectorSite, read_vectors, save_vectors
from axenic.models.find import find_organism


def added_vectors(base: OpenModel, organism: str | Path) -> LayerVectors:
    """What an organism of steering vectors adds at each layer, alpha multiplied in.

    Args:
        base: The model that it was trained on.
        organism: A run folder, or one with `steering_vector.json`.

    Raises:
        ModelError: No steering vectors; of another base model; or added before the norm of Gemma's MLP, where no site is.
        DirectionError: A vector is zero.
    """
    folder = find_organism(organism).folder
    config, tensors = read_vectors(folder, base.sites.d_model)
    if config.base_fingerprint not in (None, base.identity.base):
        raise ModelError(
            f"the vectors were not trained on {base.name}",
            where=folder,
            expected=f"base model {config.base_fingerprint}",
            found=f"base model {base.identity.base}",
        )
    if config.site == "down_proj" and base.sites.family.mlp_out != FAMILIES["qwen2"].mlp_out:
        raise ModelError(
            "these vectors are added before a norm, and no site of a direction is there",
            where=folder,
            expected="a model without a norm behind the MLP, or vectors trained with vector_site=mlp_out",
            found=type(base.sites.model).__name__,
        )
    site: Site = "resid_post" if config.site == "resid_post" else "mlp_out"
    info = DirectionInfo(
        name=Path(organism).name,
        operation="add",
        site=site,
        layer_convention="block_output_0",
        normalisation="raw",
        positions="every token, in training",
        base_model=base.name,
        base_fingerprint=base.identity.base,
        hidden_size=base.sites.d_model,
        n_layers=base.sites.n_layers,
        recipe={"kind": "trained steering vector", "site": config.site, "alpha": config.alpha},
        data_hash="in the run's train.json",
        judge="none: trained on answers",
        tokenizer_fingerprint=base.identity.tokenizer,
        calibration={},
        created_by=f"axenic {version('axenic')}",
    )
    vectors_KD = torch.stack([tensors[f"layers.{layer}.vector"].float() for layer in config.layers])
    return LayerVectors(config.layers, vectors_KD * config.alpha, info, folder)


def save_as_organism(vectors: LayerVectors, folder: str | Path) -> VectorConfig:
    """Write vectors as a folder that `open_model(base, folder)` opens, with alpha 1: they are what is added.

    Args:
        vectors: At `mlp_out` or `resid_post`. Those of the authors' trainer are put where it puts them, on `down_proj`.

    Raises:
        ModelError: Another site, or vectors that are not meant to be added.
    """
    info = vectors.info
    if info.operation != "add" or info.site not in ("mlp_out", "resid_post"):
        raise ModelError(
            f"'{info.name}' cannot be an organism",
            where=vectors.path,
            expected="vectors to add at mlp_out or resid_post",
            found=f"{info.operation} at {info.site}",
        )
    site: VectorSite = "resid_post" if info.site == "resid_post" else "mlp_out"
    if site == "mlp_out" and info.recipe.get("format") == "trained-vector":
        site = "down_proj"
    config = VectorConfig(site, vectors.layers, 1.0, info.base_model, info.base_fingerprint)
    rows = {f"layers.{layer}.vector": row_D for layer, row_D in vectors.rows().items()}
    with atomic_folder(Path(folder), replace=True) as temporary:
        save_vectors(temporary, rows, config)
    return config
