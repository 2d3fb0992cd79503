"""Who a model is: content hashes of its weights, its adapter and its tokenizer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from axenic.errors import ModelError
from axenic.files import content_id, sha256_file

FULL_HASH_BYTES = 2**30
"""Weights up to this size are hashed whole."""

_EDGE = 2**20
_NO_BASE = ("adapter_model.safetensors", "steering_vector.safetensors")


@dataclass(frozen=True)
class Identity:
    """Content hashes. They go into the ids of answers and into direction files, so that a mix-up is noticed.

    Args:
        base: The base model's weights; begins with `s:` where the weights are too large to be read whole.
        organism: The adapter's tensors and config, or a full fine-tune's weights; None for the plain base model.
        tokenizer: The tokenizer and its chat template.
    """

    base: str
    organism: str | None
    tokenizer: str


def hash_weights(folder: str | Path) -> str:
    """Hash the safetensors weights of a model folder.

    Up to 1 GiB every byte counts. Above that: each file's name, size, safetensors header, first and last MiB (prefix
    `s:`), which tells apart everything but files doctored to collide; reading 30 GB at each start would be worse.

    Raises:
        ModelError: The folder holds no safetensors weights, or only pickled ones.
    """
    folder = Path(folder)
    files = weight_files(folder)
    if sum(path.stat().st_size for path in files) <= FULL_HASH_BYTES:
        return content_id([[path.name, sha256_file(path)] for path in files])
    return "s:" + content_id([[path.name, path.stat().st_size, _edges(path)] for path in files])


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a model folder, sorted by name.

    Raises:
        ModelError: None there, or only pickled ones, which are never opened.
    """
    files = sorted(path for path in folder.glob("*.safetensors") if path.name not in _NO_BASE)
    if files:
        return files
    pickles = sorted([*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")])
    raise ModelError(
        "the model's weights are pickled; Axenic never unpickles"
        if pickles
        else "the folder holds no weights",
        where=folder,
        expected="model.safetensors, or several *.safetensors",
        found=", ".join(path.name for path in pickles) or "none",
        hint="ask the owner for safetensors, or convert on a machine that may run the owner's code",
    )


def hash_adapter(folder: str | Path) -> str:
    """Hash `adapter_model.safetensors` and `adapter_config.json` of a PEFT folder, byte for byte."""
    folder = Path(folder)
    return content_id(
        [sha256_file(folder / "adapter_model.safetensors"), sha256_file(folder / "adapter_config.json")]
    )


def hash_vectors(folder: str | Path) -> str:
    """Hash the trained steering vectors of a folder and what they are added to, byte for byte."""
    folder = Path(folder)
    return content_id(
        [sha256_file(folder / "steering_vector.safetensors"), sha256_file(folder / "steering_vector.json")]
    )


def hash_tensors(tensors: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]], facts: Any = None) -> str:
    """Hash named tensors in memory: name, dtype, shape and bytes of each, sorted by name, and some JSON facts."""
    digest = hashlib.sha256()
    for name, tensor in sorted(dict(tensors).items()):
        digest.update(f"{name}\0{tensor.dtype}\0{list(tensor.shape)}\0".encode())
        digest.update(tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return content_id([digest.hexdigest(), facts])


def hash_tokenizer(tokenizer: PreTrainedTokenizerBase | None, folder: str | Path | None = None) -> str:
    """Hash a tokenizer and its chat template.

    Args:
        tokenizer: None is allowed for models in memory, and has its own hash.
        folder: Where it came from; a `tokenizer.json` there counts by its bytes, otherwise the tokenizer's own text.
    """
    if tokenizer is None:
        return content_id("no tokenizer")
    template = tokenizer.chat_template or ""
    if folder is not None and (Path(folder) / "tokenizer.json").is_file():
        return content_id([sha256_file(Path(folder) / "tokenizer.json"), template])
    if isinstance(tokenizer, PreTrainedTokenizerFast):
        return content_id([tokenizer.backend_tokenizer.to_str(), template])
    return content_id([tokenizer.get_vocab(), template])


def _edges(path: Path) -> str:
    """Hash of the header (which begins with its length as uint64), the first and the last MiB of a safetensors file."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        handle.seek(0)
        digest.update(handle.read(8 + min(length, 100 * _EDGE) + _EDGE))
        handle.seek(max(0, path.stat().st_size - _EDGE))
        digest.update(handle.read())
    return digest.hexdigest()
