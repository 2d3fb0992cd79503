"""Trained steering vectors on a model: out + scale * alpha * v at a module's output, every token of EVERY row.

A folder holds `steering_vector.safetensors` (float32 `layers.{l}.vector` [D]) and `steering_vector.json` (site, layers,
alpha, base model and its fingerprint). B rows, T tokens, D width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from axenic.errors import ModelError, UsageError
from axenic.files import load_tensors, read_json, save_tensors, write_json
from axenic.models.outputs import site_tensor, with_site_tensor
from axenic.models.sites import Sites, find_sites

VECTOR_WEIGHTS, VECTOR_CONFIG = "steering_vector.safetensors", "steering_vector.json"
VectorSite = Literal["down_proj", "mlp_out", "resid_post"]
NAME = "steering"
"""Name of the submodule on the module that is steered."""


@dataclass(frozen=True)
class VectorConfig:
    """What trained vectors are added to, and by what factor.

    Args:
        site: `down_proj` is the output of the MLP's down-projection, as in P3; `mlp_out` what the MLP adds to the
            residual stream, which differs from it where a norm comes between (Gemma 2 and 3); `resid_post` the
            residual stream after the block.
        layers: Blocks, 0-based, ascending.
        alpha: Factor on the stored vectors.
        base_model: What the base model was called.
        base_fingerprint: Its content hash.
    """

    site: VectorSite
    layers: tuple[int, ...]
    alpha: float
    base_model: str | None = None
    base_fingerprint: str | None = None


class SteeringVector(nn.Module):
    """One vector, hung on the module whose output it is added to.

    Args:
        target: The module; gets a forward hook and this as a submodule.
        vector_D: Where it starts, float32.
        alpha: Constant factor.
    """

    def __init__(self, target: nn.Module, vector_D: Tensor, alpha: float) -> None:
        super().__init__()
        self.vector = nn.Parameter(vector_D)
        self.alpha = alpha
        self.scale = 1.0
        """Factor on top of alpha; at 0 nothing is added, and the output is the base's to the last bit."""
        target.add_module(NAME, self)
        self._handle = target.register_forward_hook(self._steer)

    @property
    def added_D(self) -> Tensor:
        """What is added to every token, float32."""
        return self.vector.float() * (self.alpha * self.scale)

    def _steer(self, module: Any, args: Any, output: Any) -> Any:
        if self.scale == 0:
            return None
        h_BTD = site_tensor(output)
        return with_site_tensor(output, h_BTD + self.added_D.to(h_BTD.dtype))

    def remove(self) -> None:
        """Stop adding; the caller takes the submodule off."""
        self._handle.remove()


def add_vectors(
    model: nn.Module, config: VectorConfig, vectors: Mapping[str, Tensor] | None = None
) -> dict[int, SteeringVector]:
    """Put vectors on a bare model, one for each layer of `config`.

    Args:
        model: A supported causal language model; changed in place.
        vectors: `layers.{l}.vector` [D] for each of them; None starts at zero.

    Raises:
        UsageError: A layer that the model does not have, or no down-projection there.
        ModelError: The model is steered already.
    """
    if steering_of(model):
        raise ModelError("the model has steering vectors already", expected="the plain base model")
    sites = find_sites(model)
    targets = {layer: vector_target(sites, config.site, layer) for layer in config.layers}
    found = {}
    for layer, target in targets.items():
        device = next(target.parameters()).device
        start_D = torch.zeros(sites.d_model) if vectors is None else vectors[f"layers.{layer}.vector"].float()
        found[layer] = SteeringVector(target, start_D.to(device), config.alpha)
    return found


def vector_target(sites: Sites, site: VectorSite, layer: int) -> nn.Module:
    """The module to whose output a vector of this site and layer is added.

    Raises:
        UsageError: A layer that the model does not have, or no down-projection there.
    """
    if site != "down_proj":
        return sites.module(site, layer)
    sites.check("mlp_out", layer)
    try:
        return sites.blocks[layer].get_submodule("mlp.down_proj")
    except AttributeError as error:
        raise UsageError(
            f"layer {layer} has no down-projection: its MLP is a mixture of experts",
            where="vector_site down_proj",
            expected="mlp_out or resid_post",
            hint="--set vector_site=mlp_out",
        ) from error


def steering_of(model: nn.Module) -> list[SteeringVector]:
    """The trained vectors on a model, in the order of its modules; empty for others."""
    return [module for module in model.modules() if isinstance(module, SteeringVector)]


@contextmanager
def scaled_vectors(model: nn.Module, factor: float) -> Iterator[None]:
    """Multiply every vector of a model by a factor while the block runs; 0 switches them off, bit for bit.

    Behind the block, also after an exception, every vector has the scale that it had.
    """
    found = steering_of(model)
    before = [vector.scale for vector in found]
    try:
        for vector, scale in zip(found, before, strict=True):
            vector.scale = scale * factor
        yield
    finally:
        for vector, scale in zip(found, before, strict=True):
            vector.scale = scale


@torch.no_grad()
def merge_vectors(model: nn.Module) -> int:
    """Turn every vector into a bias of the linear module it is added to; returns how many.

    Raises:
        ModelError: There are none, or one sits on a module that cannot have a bias; nothing is changed then.
    """
    places = [(module, module.get_submodule(NAME)) for module in model.modules() if _has_vector(module)]
    stuck = [module for module, _ in places if not isinstance(module, nn.Linear)]
    if stuck or not places:
        raise ModelError(
            "a steering vector cannot become a bias of what it is added to" if stuck else "nothing to merge",
            expected="vectors at down_proj, a linear module",
            found=type(stuck[0]).__name__ if stuck else "a model without steering vectors",
            hint="axenic train … --recipe vector --set vector_site=down_proj" if stuck else None,
        )
    for module, vector in places:
        assert isinstance(module, nn.Linear)
        assert isinstance(vector, SteeringVector)
        added_D = vector.added_D if module.bias is None else module.bias.float() + vector.added_D
        module.bias = nn.Parameter(added_D.to(module.weight.dtype), requires_grad=False)
        vector.remove()
        delattr(module, NAME)
    return len(places)


def _has_vector(module: nn.Module) -> bool:
    return any(name == NAME and isinstance(child, SteeringVector) for name, child in module.named_children())


def write_vector_config(folder: Path, config: VectorConfig) -> None:
    """Write `steering_vector.json`."""
    write_json(folder / VECTOR_CONFIG, {"kind": "steering_vector", **asdict(config)})


def save_vectors(folder: Path, vectors: Mapping[str, Tensor], config: VectorConfig) -> None:
    """Write a folder that `open_model(base, folder)` opens.

    Args:
        vectors: `layers.{l}.vector` [D] for each layer of `config`.
    """
    save_tensors(folder / VECTOR_WEIGHTS, vectors, {"format": "pt"})
    write_vector_config(folder, config)


def read_vectors(folder: Path, d_model: int | None = None) -> tuple[VectorConfig, dict[str, Tensor]]:
    """Read and check a folder of trained vectors.

    Args:
        d_model: Width that they must have; None takes any.

    Raises:
        ModelError: Its JSON says something else than where the vectors belong.
        FileError: A file is missing or damaged, or holds other vectors than its JSON says.
    """
    facts = read_json(folder / VECTOR_CONFIG)
    config = _parse(facts if isinstance(facts, dict) else {}, folder)
    shapes = {f"layers.{layer}.vector": (d_model,) for layer in config.layers}
    tensors, _ = load_tensors(folder / VECTOR_WEIGHTS, expect=shapes)
    return config, tensors


def _parse(facts: dict[str, Any], folder: Path) -> VectorConfig:
    layers: Any = facts.get("layers")
    alpha: Any = facts.get("alpha")
    fine = (
        facts.get("kind") == "steering_vector"
        and facts.get("site") in get_args(VectorSite)
        and isinstance(layers, list)
        and len(layers) > 0
        and all(type(layer) is int and layer >= 0 for layer in layers)
        and layers == sorted(set(layers))
        and isinstance(alpha, int | float)
        and not isinstance(alpha, bool)
        and math.isfinite(alpha)
    )
    if not fine:
        raise ModelError(
            "the file does not say where its steering vectors belong",
            where=folder / VECTOR_CONFIG,
            expected=f'"kind": "steering_vector", "site": one of {", ".join(get_args(VectorSite))}, "layers": '
            '[ascending], "alpha": a number',
            found={key: facts.get(key) for key in ("kind", "site", "layers", "alpha")},
        )
    names = [facts.get(key) for key in ("base_model", "base_fingerprint")]
    model, fingerprint = (name if isinstance(name, str) else None for name in names)
    return VectorConfig(facts["site"], tuple(layers), float(facts["alpha"]), model, fingerprint)


def attach_vectors(model: nn.Module, folder: Path) -> Sequence[SteeringVector]:
    """Put the vectors of a folder on a base model, changed in place. Raises as `read_vectors` and `add_vectors`."""
    sites = find_sites(model)
    config, tensors = read_vectors(folder, sites.d_model)
    if config.layers[-1] >= sites.n_layers:
        raise ModelError(
            "the steering vectors were made for a model with more layers",
            where=folder / VECTOR_CONFIG,
            expected=f"layers 0 to {sites.n_layers - 1}, those of this model",
            found=f"layer {config.layers[-1]}",
            hint=f"--model {config.base_model or 'NAME'} with the base model that they were trained on",
        )
    return list(add_vectors(model, config, tensors).values())
