"""Will it work on this machine? Versions, disk, tokens, device, and whether hooks fire."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

NEEDED = (
    "axenic",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "safetensors",
    "numpy",
    "matplotlib",
    "jinja2",
)
OPTIONAL = ("bitsandbytes", "vllm", "ray")
LEAST_FREE = 1_000_000_000


@dataclass(frozen=True)
class Check:
    """One finding. `fine` is None where it is only worth knowing."""

    name: str
    found: str
    fine: bool | None


def check_machine() -> list[Check]:
    """Every check, cheapest first. Never raises for what it finds."""
    return [*_versions(), _disk(), *_tokens(), *_torch(), _hooks()]


def _versions() -> list[Check]:
    checks = [Check("python", platform.python_version(), sys.version_info >= (3, 11))]
    for name in (*NEEDED, *OPTIONAL):
        try:
            checks.append(Check(name, metadata.version(name), True if name in NEEDED else None))
        except metadata.PackageNotFoundError:
            checks.append(Check(name, "not installed", False if name in NEEDED else None))
    return checks


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    return Check("free disk here", f"{free / 1e9:.1f} GB", free > LEAST_FREE)


def _tokens() -> list[Check]:
    """Whether tokens are there; their values are never shown."""
    from huggingface_hub import get_token

    found = {
        "Hugging Face token": get_token() is not None,
        "OpenAI key": bool(os.environ.get("OPENAI_API_KEY")),
    }
    absent = "absent; needed only for what is behind it"
    return [Check(name, "present" if there else absent, None) for name, there in found.items()]


def _torch() -> list[Check]:
    import torch

    from axenic.models import resolve_device

    return [
        Check("device", resolve_device().reason, True),
        Check("threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores", None),
    ]


def _hooks() -> Check:
    """Open nano with the self-test: hooks fire once a layer and forward, and reach every row."""
    from axenic.errors import AxenicError
    from axenic.models import open_model

    began = time.monotonic()
    try:
        opened = open_model("nano", device="cpu")
    except AxenicError as error:
        return Check("hooks on nano", error.what, False)
    layers = opened.sites.n_layers
    return Check(
        "hooks on nano",
        f"fire at all {layers} layers and reach every row ({time.monotonic() - began:.1f} s)",
        True,
    )
