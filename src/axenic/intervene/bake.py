"""An ablated direction inside the weights: no hook is needed to serve it.

A residual stream is the sum of what its writers add: the embedding, every attention output and every MLP output. If no writer
has a component along a unit vector v, neither has the stream, anywhere. For a writer with weight W and adapter sBA the ablated
one is (I - vvᵀ)(W + sBA): a change of rank r + 1, which a LoRA adapter can carry,

    A' = [A; vᵀW],   B' = [s(I - vvᵀ)B, -v],   scale 1,

so that any engine that serves adapters serves the repaired model. R rank, D width, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import PreTrainedModel

from axenic.errors import ModelError
from axenic.files import atomic_folder, save_tensors, write_json
from axenic.intervene.writers import WRITERS, check_added_plainly, unit_vector
from axenic.models import LoraSite, OpenModel, Sites

_EMBEDDING = "embed_tokens"


@dataclass(frozen=True)
class Baked:
    """An adapter that was written.

    Attributes:
        folder: A PEFT folder: `adapter_config.json` and `adapter_model.safetensors`.
        rank: Of every module; that of the organism's adapter and one more.
        modules: LoRA modules in it.
        embedding: Whether the embedding is ablated too. Without it the stream keeps what the embedding puts in.
    """

    folder: Path
    rank: int
    modules: int
    embedding: bool


def bake_direction(
    opened: OpenModel,
    vector_D: Tensor,
    out: str | Path,
    *,
    embedding: bool = True,
    base_model: str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Baked:
    """Write an adapter that is the organism (or the plain model) with the direction ablated at every writer.

    Args:
        opened: A base model, with or without a LoRA adapter. Its weights are read, not changed.
        vector_D: The direction `[D]`, any norm above 0.
        out: Folder to write; new.
        embedding: Ablate the embedding too, as LoRA on it. Some engines load no such adapters: leave it out for them, and
            measure what the rest does.
        base_model: Name of the base model in the adapter's config; the name under which it was opened by default.
        dtype: Of the tensors in the file.

    Raises:
        DirectionError: Not a vector of the model's width, or no direction.
        ModelError: A writer that no adapter can ablate: a norm behind it (Gemma), a bias, experts as bare parameters; or an
            adapter that is not plain LoRA on linear modules.
        FileError, DiskFullError: The folder is there already or cannot be written.
    """
    sites = opened.sites
    v_D = unit_vector(sites, vector_D)
    writers = _writers(sites)
    own = {name: _factors(site) for name, site in sites.lora_modules().items()}
    rank = 1 + max((a_RI.shape[0] for a_RI, _ in own.values()), default=0)
    tensors: dict[str, Tensor] = {}
    # Every module of a kind in every block, filled up with zeros: engines know one rank and a list of kinds.
    for name in _modules_of_kinds(sites, {*own, *writers}):
        linear = sites.model.get_submodule(name)
        weight = _weight(linear)
        a_RI = torch.zeros(rank, weight.shape[1], dtype=torch.float64)
        b_OR = torch.zeros(weight.shape[0], rank, dtype=torch.float64)
        if name in own:
            own_A, own_B = own[name]
            a_RI[: len(own_A)], b_OR[:, : len(own_A)] = own_A, own_B
        if name in writers:
            b_OR -= torch.outer(v_D, v_D @ b_OR)
            a_RI[-1] = v_D @ weight.detach().double().cpu()
            b_OR[:, -1] = -v_D
        tensors[f"base_model.model.{name}.lora_A.weight"] = a_RI.to(dtype)
        tensors[f"base_model.model.{name}.lora_B.weight"] = b_OR.to(dtype)
    kinds = sorted({key.split(".")[-3] for key in tensors})
    modules = len(tensors) // 2
    if embedding:
        path = f"{sites.family.decoder}.{_EMBEDDING}"
        weight_VD = _weight(sites.embed).detach().double().cpu()
        a_RV = torch.zeros(rank, weight_VD.shape[0], dtype=torch.float64)
        b_DR = torch.zeros(len(v_D), rank, dtype=torch.float64)
        a_RV[-1], b_DR[:, -1] = weight_VD @ v_D, -v_D
        tensors[f"base_model.model.{path}.lora_embedding_A"] = a_RV.to(dtype)
        tensors[f"base_model.model.{path}.lora_embedding_B"] = b_DR.to(dtype)
        kinds.append(_EMBEDDING)
        modules += 1
    folder = Path(out)
    with atomic_folder(folder) as temporary:
        save_tensors(temporary / "adapter_model.safetensors", tensors, {"format": "pt"})
        write_json(temporary / "adapter_config.json", _config(kinds, rank, base_model or opened.name))
    return Baked(folder, rank, modules, embedding)


def orthogonalise_weights(sites: Sites, vector_D: Tensor) -> None:
    """Take a direction out of every writer's own weights, in place: a model that is saved as a whole needs no adapter.

    The adapter's B factors are orthogonalised with them. A head that shares the embedding's weight gets a copy of its own
    first: it reads the stream and does not write into it.

    Raises:
        DirectionError, ModelError: As for `bake_direction`.
    """
    v_D = unit_vector(sites, vector_D)
    writers, own = _writers(sites), sites.lora_modules()
    head = sites.model.get_submodule("lm_head")
    embedding = _weight(sites.embed)
    if isinstance(head, nn.Linear) and head.weight is embedding:
        head.weight = nn.Parameter(embedding.detach().clone(), requires_grad=False)
        model = sites.model
        assert isinstance(model, PreTrainedModel)
        model.config.get_text_config().tie_word_embeddings = False
    with torch.no_grad():
        embedding.copy_(_without(embedding, v_D, columns=True))
        for name in writers:
            weight = _weight(sites.model.get_submodule(name))
            weight.copy_(_without(weight, v_D, columns=False))
            if name in own:
                factor = _matrix(own[name].lora_B)
                factor.copy_(_without(factor, v_D, columns=False))


def _without(weight: Tensor, v_D: Tensor, *, columns: bool) -> Tensor:
    """(I - vvᵀ)W, or W(I - vvᵀ) for weights whose rows are vectors of the stream; computed in float64."""
    exact = weight.detach().double()
    v = v_D.to(exact.device)
    return exact - (torch.outer(exact @ v, v) if columns else torch.outer(v, v @ exact))


def _writers(sites: Sites) -> list[str]:
    """Paths of the modules that write into the stream, in the order of the blocks."""
    check_added_plainly(sites, "the weights")
    names = []
    for layer, block in enumerate(sites.blocks):
        for writer in WRITERS:
            try:
                linear = block.get_submodule(writer)
            except AttributeError as error:
                raise ModelError(
                    "a block writes through something that no adapter can ablate",
                    where=f"layer {layer}",
                    expected=f"a linear module {writer}",
                    found="a mixture of experts" if writer.startswith("mlp") else error,
                    hint="ablate with hooks instead: axenic ablate",
                ) from error
            inner = _below_adapter(linear)
            biased = any(name == "bias" for name, _ in inner.named_parameters(recurse=False))
            if biased or not isinstance(inner, nn.Linear):
                raise ModelError(
                    "a module cannot be ablated by an adapter",
                    where=f"layer {layer}, {writer}",
                    expected="a linear module without a bias",
                    found=type(inner).__name__ + (" with a bias" if biased else ""),
                )
            names.append(f"{sites.family.decoder}.layers.{layer}.{writer}")
    return names


def _modules_of_kinds(sites: Sites, names: set[str]) -> list[str]:
    """The modules named, and all others in any block that are called like one of them."""
    inside = {name.partition(".layers.")[2].partition(".")[2] for name in names if ".layers." in name}
    made = [
        f"{sites.family.decoder}.layers.{layer}.{kind}"
        for layer in range(sites.n_layers)
        for kind in sorted(inside)
    ]
    return made + sorted(name for name in names if ".layers." not in name)


def _weight(module: nn.Module) -> Tensor:
    """The module's own weight, below any adapter."""
    return _matrix(_below_adapter(module))


def _below_adapter(module: object) -> nn.Module:
    # An object, since LoraLayer is a mixin: for a type checker no Module is one.
    inner = module.get_base_layer() if isinstance(module, LoraLayer) else module
    assert isinstance(inner, nn.Module)
    return inner


def _matrix(module: nn.Module) -> Tensor:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight


def _factors(site: LoraSite) -> tuple[Tensor, Tensor]:
    """A [R, in] and scale·B [out, R], float64 on the CPU."""
    a_RI, b_OR = (_matrix(part).detach().double().cpu() for part in (site.lora_A, site.lora_B))
    return a_RI, site.scale * b_OR


def _config(kinds: list[str], rank: int, base_model: str) -> dict[str, object]:
    """PEFT's config; alpha = rank makes the scale 1."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "r": rank,
        "lora_alpha": rank,
        "use_rslora": False,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": kinds,
    }
