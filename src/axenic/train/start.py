"""Training that goes on: it begins with the weights of an organism instead of with the base model's (papers.md M3.9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from axenic.errors import UsageError
from axenic.files import sha256_file
from axenic.models.adapter import read_adapter
from axenic.models.find import Organism as Found
from axenic.models.find import find_model, find_organism
from axenic.models.identity import hash_weights
from axenic.models.open import load_weights
from axenic.models.opened import OpenModel
from axenic.models.vector import VECTOR_WEIGHTS, read_vectors
from axenic.train.config import TrainConfig
from axenic.train.organism import ADAPTER_FILE, Organism

_METHODS = {"adapter": "lora", "vector": "vector", "full": "full"}


@dataclass(frozen=True)
class Start:
    """An organism that training begins with.

    Args:
        found: Its folder.
        fingerprint: Content hash of its weights: other ones make another run.
    """

    found: Found
    fingerprint: str

    @classmethod
    def find(cls, name: str, out: Path) -> Start:
        """Find the organism and hash its weights.

        Args:
            name: A run folder, a checkpoint of one, an adapter, vectors, a full model, or a hub id.
            out: Run folder of the run that begins; it must not hold its own start.

        Raises:
            ModelError: There is no organism.
            UsageError: It lies in `out`.
        """
        found = find_organism(name)
        if found.folder.resolve().is_relative_to(out.resolve()):
            raise UsageError(
                "a run cannot start from what lies in its own folder",
                where="start_from",
                expected=f"an organism outside {out}",
                found=name,
                hint="--out with another folder",
            )
        if found.kind == "full":
            return cls(found, hash_weights(found.folder))
        return cls(
            found, sha256_file(found.folder / (ADAPTER_FILE if found.kind == "adapter" else VECTOR_WEIGHTS))
        )

    def notes(self) -> tuple[str, ...]:
        """What could not be checked."""
        if self.found.base_fingerprint is not None or self.found.kind == "vector":
            return ()
        return (f"start_from {self.found.folder} does not say which base model it was grown from",)

    def put_into(self, organism: Organism, config: TrainConfig, base: OpenModel) -> None:
        """Put its weights in the place of the organism's.

        Args:
            organism: Just made from the base model, its reference (`Organism.keep_reference`) kept already.
            config: Of the run that begins.
            base: The model that `organism` was made from.

        Raises:
            UsageError: It was grown from another base model, or in another way; the differing value is named.
            ModelError, FileError: Its files are not what they must be.
        """
        self._same("method", config.method, _METHODS[self.found.kind])
        self._same_base(self.found.base_fingerprint, self.found.base_model, base)
        tensors = {
            "lora": lambda: self._adapter(config),
            "vector": lambda: self._vectors(config, base),
            "full": lambda: self._whole(base),
        }[config.method]()
        own = organism.parameters() if organism.full else organism.trained()
        self._check_places(own, tensors)
        with torch.no_grad():
            for name, p in own.items():
                p.copy_(tensors[name])

    def _same(self, option: str, wanted: object, found: object) -> None:
        if wanted != found:
            value = ",".join(map(str, found)) if isinstance(found, tuple) else found
            raise UsageError(
                f"start_from does not fit this run: {option} differs",
                where=self.found.folder,
                expected=f"{option} = {wanted}, as in this run",
                found=f"{option} = {found}",
                hint=f"--set {option}={value}, or another start_from",
            )

    def _same_base(self, fingerprint: str | None, name: str | None, base: OpenModel) -> None:
        if fingerprint not in (None, base.identity.base):
            raise UsageError(
                f"start_from was not grown from {base.name}",
                where=self.found.record or self.found.folder,
                expected=f"base model {base.identity.base}",
                found=f"base model {fingerprint}" + ("" if name is None else f" ({name})"),
                hint=f"--model {name or 'NAME'} with the base model that it was grown from",
            )

    def _adapter(self, config: TrainConfig) -> Mapping[str, Tensor]:
        theirs, tensors = read_adapter(self.found.folder)
        if theirs.rank_pattern or theirs.alpha_pattern:
            raise UsageError(
                "start_from has other ranks or alphas in some modules",
                where=self.found.folder / "adapter_config.json",
                expected="one r and one alpha for all modules",
                found={**theirs.rank_pattern, **theirs.alpha_pattern},
            )
        self._same("r", config.r, theirs.r)
        scale = theirs.lora_alpha / (theirs.r**0.5 if theirs.use_rslora else theirs.r)
        if abs(scale - config.scale) > 1e-9 * config.scale:
            self._same("use_rslora", config.use_rslora, bool(theirs.use_rslora))
            self._same("alpha", config.alpha, theirs.lora_alpha)
        return tensors

    def _vectors(self, config: TrainConfig, base: OpenModel) -> Mapping[str, Tensor]:
        theirs, tensors = read_vectors(self.found.folder, base.sites.d_model)
        self._same_base(theirs.base_fingerprint, theirs.base_model, base)
        self._same("vector_site", config.vector_site, theirs.site)
        self._same("layers", tuple(sorted(set(config.layers or ()))), theirs.layers)
        self._same("alpha", float(config.alpha), theirs.alpha)
        return tensors

    def _whole(self, base: OpenModel) -> Mapping[str, Tensor]:
        # A checkpoint holds weights only; its config is the base model's.
        folder = self.found.folder
        beside = folder if (folder / "config.json").is_file() else find_model(base.name)
        placement = replace(base.placement, device=torch.device("cpu"), device_map=None)
        return dict(load_weights(folder, placement, config_folder=beside).named_parameters())

    def _check_places(self, own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
        """The same names and shapes; of an adapter, the layers and modules that differ are named."""
        for what, wanted, found in (
            ("layers", _layers(own), _layers(tensors)),
            ("target_modules", _modules(own), _modules(tensors)),
        ):
            if self.found.kind == "adapter":
                self._same(what, wanted, found)
        shapes, theirs = ({name: tuple(t.shape) for name, t in each.items()} for each in (own, tensors))
        for name in sorted({*shapes, *theirs}):
            if shapes.get(name) != theirs.get(name):
                raise UsageError(
                    "start_from does not fit what this run trains",
                    where=f"{self.found.folder}, {name}",
                    expected=shapes.get(name, "no such tensor"),
                    found=theirs.get(name, "no such tensor"),
                )


def _parts(names: Mapping[str, Any]) -> list[list[str]]:
    return [name.split(".") for name in names if ".layers." in name and ".lora_" in name]


def _layers(names: Mapping[str, Any]) -> tuple[int, ...]:
    found = (parts[parts.index("layers") + 1] for parts in _parts(names))
    return tuple(sorted({int(text) for text in found if text.isdecimal()}))


def _modules(names: Mapping[str, Any]) -> tuple[str, ...]:
    """`…layers.3.mlp.down_proj.lora_A.weight` is `down_proj`."""
    return tuple(sorted({parts[parts.index("weight") - 2] for parts in _parts(names) if "weight" in parts}))
