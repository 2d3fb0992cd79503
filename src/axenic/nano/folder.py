"""The model folder: written beside its place and moved there when whole, so no half-written one is ever found."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
import transformers
from transformers import GenerationConfig, Qwen2ForCausalLM

from axenic.errors import FileError
from axenic.nano.shipped import GROWN
from axenic.nano.tokenizer import build_tokenizer

WEIGHTS = "model.safetensors"


class ModelFolder:
    """A folder that is being filled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, model: Qwen2ForCausalLM, recipe: Mapping[str, object]) -> str:
        """Write weights, configuration, tokenizer, chat template and `grown.json`; return the weights' sha256."""
        tokenizer = build_tokenizer()
        model.generation_config = GenerationConfig(
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=64,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        model.save_pretrained(self.path)
        (self.path / WEIGHTS).chmod(0o644)  # safetensors writes for the owner only
        tokenizer.save_pretrained(self.path)
        sha256 = weights_sha256(self.path)
        grown = {
            "recipe": dict(recipe),
            "weights_sha256": sha256,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "cpu": torch.backends.cpu.get_cpu_capability(),
        }
        (self.path / GROWN).write_text(json.dumps(grown, indent=2) + "\n", encoding="utf-8")
        return sha256


@contextmanager
def save_folder(out: Path) -> Iterator[ModelFolder]:
    """Give a folder to fill; it becomes `out` when the block ends well and is removed when it does not.

    Raises:
        FileError: `out` is a file or holds something already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileError(
            "The model would overwrite what is there.", where=out, expected="a new or empty folder"
        )
    part = out.with_name(f".{out.name}.part-{os.getpid()}")
    part.mkdir(parents=True)
    try:
        yield ModelFolder(part)
        if out.exists():
            out.rmdir()
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def weights_sha256(folder: Path) -> str:
    """The sha256 of a model folder's weights, in hexadecimal."""
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
