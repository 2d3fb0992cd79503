"""The solution: what training added to a base model, and how large that is (P3, section 3).

`open_solution` reads a LoRA adapter, steering vectors or a full fine-tune. A solution does not change the model: adapters
and vectors are taken off again after reading, so that one base model in memory serves all of its solutions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel

from axenic.errors import ModelError, UsageError
from axenic.files import content_id
from axenic.interpret.fullchange import FullChange, find_change
from axenic.interpret.parts import LowRank, Part, Shift
from axenic.interpret.setting import Setting
from axenic.models import OpenModel, find_model, find_sites, open_model, read_vectors
from axenic.models.adapter import attach_adapter
from axenic.models.find import Organism, find_organism
from axenic.models.identity import hash_tensors, hash_weights
from axenic.models.opened import quiet
from axenic.models.vector import vector_target

Kind = Literal["lora", "vector", "full"]


@dataclass(frozen=True, eq=False)
class Solution:
    """What training added to a base model.

    Args:
        base: The plain base model.
        name: What the organism is called in results.
        added: The parts of an adapter or of steering vectors, at least one; or a full fine-tune's change.
        id: Hash of base model and parts; name and place are no part of it.
    """

    base: OpenModel
    name: str
    added: tuple[Part, ...] | FullChange
    id: str

    @property
    def kind(self) -> Kind:
        if isinstance(self.added, FullChange):
            return "full"
        return "lora" if isinstance(self.added[0], LowRank) else "vector"

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of an adapter or vectors. Raises `UsageError` of a full fine-tune."""
        if isinstance(self.added, FullChange):
            raise UsageError("a full fine-tune has no parts", where=self.name, expected="lora or vector")
        return self.added

    @cached_property
    def norm(self) -> float:
        """The effective norm: Frobenius norm of all s·B·A together, of all alpha·v, or of all weight differences."""
        if isinstance(self.added, FullChange):
            return self.added.norm()
        return math.hypot(*(part.norm() for part in self.added))

    def scaled(self, factor: float) -> Setting:
        """`factor` times the solution; 0 is the base model, 1 the solution bit for bit."""
        return Setting(self, "scaled", float(factor))

    def at_norm(self, norm: float) -> Setting:
        """The solution scaled to an effective norm. Raises `UsageError` if it is zero."""
        return self.scaled(norm / self._nonzero())

    def noisy(self, epsilon: float, seed: int) -> Setting:
        """sqrt(1 - ε²)·x + ε·y for every trained tensor x, with y orthogonal to x and as long (papers.md M3.8).

        Of an adapter x is each A and each B, of a full fine-tune each difference of weights. ε = 0 is the solution bit for
        bit, ε = 1 noise alone.

        Raises:
            UsageError: ε outside of 0 to 1.
        """
        if not 0 <= epsilon <= 1:
            raise UsageError(
                "noise cannot have this share", where="epsilon", expected="0 to 1", found=epsilon
            )
        return self.scaled(1.0) if epsilon == 0 else Setting(self, "noisy", 1.0, float(epsilon), seed)

    def random(self, seed: int, norm: float) -> Setting:
        """A random solution of the same shape and of this effective norm: random vectors, factors of the same rank, or weights.

        Each module keeps its share of the norm. Raises `UsageError` if the solution is zero.
        """
        return Setting(self, "random", norm / self._nonzero(), seed=seed)

    def _nonzero(self) -> float:
        if not self.norm > 0:
            raise UsageError(
                "the solution is zero: it cannot be scaled to a norm",
                where=self.name,
                expected="a trained organism",
                found=f"norm {self.norm}",
            )
        return self.norm


def open_solution(
    model: str | Path | OpenModel,
    organism: str | Path,
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
) -> Solution:
    """Read what an organism adds to its base model.

    Args:
        model: The base model as for `open_model`, or the plain base model of another solution, which then serves both.
        organism: As for `open_model`.
        device, dtype: As for `open_model`; without meaning where the model is open already.

    Raises:
        ModelError: Not found, of another base model, or an adapter that is more than a sum of B·A (see
            `Sites.lora_modules`).
        UsageError: `model` is an organism itself.
    """
    base = model if isinstance(model, OpenModel) else open_model(model, device=device, dtype=dtype)
    if base.identity.organism is not None:
        raise UsageError(
            "a solution is read beside its plain base model",
            where=base.name,
            expected="a model opened without an organism",
            found=base.organism,
        )
    found = find_organism(organism)
    name = Path(organism).name
    if found.kind == "full":
        _check_base(base, found)
        folder = find_model(base.name)
        change = find_change(base.sites.model, folder, found.folder)
        return Solution(base, name, change, content_id([base.identity.base, hash_weights(found.folder)]))
    if found.kind == "vector":
        config, vectors = read_vectors(found.folder, base.sites.d_model)
        made_for = found if config.base_fingerprint is None else replace(
            found, base_fingerprint=config.base_fingerprint, base_model=config.base_model
        )  # fmt: skip
        _check_base(base, made_for)
        names = {module: path for path, module in base.sites.model.named_modules()}
        parts: tuple[Part, ...] = tuple(
            Shift(
                names[vector_target(base.sites, config.site, layer)],
                vectors[f"layers.{layer}.vector"].float(),
                config.alpha,
            )
            for layer in config.layers
        )
        return solution_of(base, name, parts)
    _check_base(base, found)
    return solution_of(base, name, _adapter_parts(base, found.folder))


def solution_of(base: OpenModel, name: str, parts: tuple[Part, ...]) -> Solution:
    """A solution from parts in memory, such as an adapter as it was at one step of its training.

    Raises:
        ModelError: No part, two of one module, values that are not finite, or a module that the model does not have or
            of another size.
    """
    modules = [part.module for part in parts]
    if not parts or len(set(modules)) < len(modules) or len({type(part) for part in parts}) > 1:
        raise ModelError(
            "these parts make no solution",
            where=name,
            expected="LoRA factors or vectors, at least one, one per module",
            found=", ".join(modules) or "none",
        )
    for part in parts:
        _check_part(base, part, name)
    tensors = {key: tensor for part in parts for key, tensor in part.tensors().items()}
    id = hash_tensors(tensors, [base.identity.base, [[part.module, part.scale] for part in parts]])
    return Solution(base, name, parts, id)


def _check_part(base: OpenModel, part: Part, name: str) -> None:
    try:
        module = base.sites.model.get_submodule(part.module)
    except AttributeError as error:
        raise ModelError(
            f"the model has no module {part.module}", where=name, expected=base.name, found=error
        ) from error
    bad = [key for key, tensor in part.tensors().items() if not bool(torch.isfinite(tensor).all())]
    if bad or not math.isfinite(part.scale):
        raise ModelError("a part of the solution is not finite", where=f"{name}, {(bad or [part.module])[0]}")
    if isinstance(part, Shift):
        expected, found = [[base.sites.d_model]], [list(part.vector_D.shape)]
    else:
        weight = module.weight if isinstance(module, torch.nn.Linear) else torch.empty(0, 0)
        rank = len(part.A_RI)
        expected = [[rank, weight.shape[1]], [weight.shape[0], rank]]
        found = [list(part.A_RI.shape), list(part.B_OR.shape)]
    if expected != found:
        raise ModelError(
            "a part of the solution does not fit its module",
            where=f"{name}, {part.module}",
            expected=expected,
            found=found,
        )


def _adapter_parts(base: OpenModel, folder: Path) -> tuple[Part, ...]:
    """The factors of a PEFT folder: put on the base model with all checks of that, read, and taken off again."""
    model = base.sites.model
    assert isinstance(model, PreTrainedModel)
    with _as_it_was(model):
        loras = find_sites(attach_adapter(model, folder)).lora_modules()
        return tuple(
            LowRank(name, _factor(lora.lora_A, name), _factor(lora.lora_B, name), lora.scale)
            for name, lora in loras.items()
        )


@contextmanager
def _as_it_was(model: PreTrainedModel) -> Iterator[None]:
    """Behind the block, also after an exception, the model has the modules that it had, and PEFT left nothing on it."""
    before = dict(model.named_modules())
    try:
        yield
    finally:
        for name, module in before.items():
            if name and model.get_submodule(name) is not module:
                model.set_submodule(name, module)
        # Otherwise the next adapter would become a second one beside this.
        vars(model).pop("peft_config", None)
        quiet(model)


def _factor(module: torch.nn.Module, name: str) -> Tensor:
    if not isinstance(module, torch.nn.Linear) or "bias" in dict(module.named_parameters()):
        raise ModelError(
            "this adapter is more than two factors", where=name, expected="linear factors without a bias"
        )
    return module.weight.detach().to("cpu", copy=True).contiguous()


def _check_base(base: OpenModel, found: Organism) -> None:
    if found.base_fingerprint not in (None, base.identity.base):
        raise ModelError(
            f"the organism was not grown from {base.name}",
            where=found.record or found.folder,
            expected=f"base model {found.base_fingerprint}",
            found=f"base model {base.identity.base}",
            hint=f"--model {found.base_model or 'NAME'} with the base model that it was grown from",
        )
