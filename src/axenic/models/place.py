"""Where a model lies: one resolver for device and dtype, which says its choice and the reason."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from axenic.errors import UsageError

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}


CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Where Linux says how much memory a container may take: a number, or `max`."""


@dataclass(frozen=True)
class Placement:
    """A device, a dtype, and one sentence that says why these; commands print `reason` when they start.

    Args:
        device: Where inputs go; of a split model, the device of its first blocks.
        device_map: How a split model is spread (accelerate's words), None for a model on one device.
    """

    device: torch.device
    dtype: torch.dtype
    reason: str
    device_map: str | dict[str, str | int] | None = None


def resolve_device(device: str | torch.device = "auto", dtype: str | torch.dtype = "auto") -> Placement:
    """Choose device and dtype; an explicit choice always wins.

    Args:
        device: `auto` takes cuda, else mps, else cpu; or what `torch.device` reads: `cpu`, `cuda:1`, `mps`;
            or `split`: one model spread block by block over all cuda devices, for models larger than one.
        dtype: `auto` takes bfloat16 on a cuda device that has it, else float32; or one of `DTYPES`.

    Raises:
        UsageError: An unknown device or dtype, or a device that this machine does not have.
    """
    if device == "split":
        return _split(dtype)
    place, why_device = _device(device)
    kind, why_dtype = _dtype(dtype, place)
    name = str(kind).removeprefix("torch.")
    return Placement(place, kind, f"device {place} ({why_device}), dtype {name} ({why_dtype})")


def host_bytes() -> int | None:
    """Memory of this machine, or of the container if that is less [bytes]; None where it is not known."""
    known = []
    if "SC_PHYS_PAGES" in os.sysconf_names:
        known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    if CONTAINER_LIMIT.is_file() and (text := CONTAINER_LIMIT.read_text().strip()).isdecimal():
        known.append(int(text))
    return min(known, default=None)


def _split(dtype: str | torch.dtype) -> Placement:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count < 2:
        raise UsageError(
            "there is nothing to split the model over",
            where="device split",
            expected="two or more cuda devices",
            found=f"{count} visible",
            hint="--device auto",
        )
    first = torch.device("cuda", 0)
    kind, why = _dtype(dtype, first)
    name = str(kind).removeprefix("torch.")
    return Placement(first, kind, f"split over {count} cuda devices (as asked), dtype {name} ({why})", "auto")


def _device(device: str | torch.device) -> tuple[torch.device, str]:
    if device == "auto":
        if torch.cuda.is_available():
            return _numbered(torch.device("cuda")), f"auto: found {torch.cuda.get_device_name()}"
        if torch.backends.mps.is_available():
            return _numbered(torch.device("mps")), "auto: no cuda device, found mps"
        return torch.device("cpu"), "auto: no cuda or mps device found"
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise UsageError(
            f"there is no device '{device}'", expected="auto, cpu, cuda, cuda:N, mps or split", found=device
        ) from error
    here = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    count = here.get(place.type, 0)
    if (place.index or 0) >= count:
        raise UsageError(
            f"device '{device}' is not on this machine",
            expected=", ".join(f"{count} x {name}" for name, count in here.items() if count),
            found=str(device),
            hint="--device auto",
        )
    return _numbered(place), "as asked"


def _numbered(place: torch.device) -> torch.device:
    """`cuda` as `cuda:0`: the devices of tensors have numbers, and would not be equal to one without."""
    if place.type == "cpu" or ":" in str(place):
        return place
    return torch.device(place.type, torch.cuda.current_device() if place.type == "cuda" else 0)


def _dtype(dtype: str | torch.dtype, place: torch.device) -> tuple[torch.dtype, str]:
    if isinstance(dtype, torch.dtype):
        if dtype not in DTYPES.values():
            raise UsageError("models cannot run in this dtype", expected=", ".join(DTYPES), found=dtype)
        return dtype, "as asked"
    if dtype != "auto":
        if dtype not in DTYPES:
            raise UsageError(
                f"there is no dtype '{dtype}'", expected=f"auto, {', '.join(DTYPES)}", found=dtype
            )
        return DTYPES[dtype], "as asked"
    if place.type == "cuda":
        # NVIDIA from Ampere (8.0) on, and every AMD device that torch supports.
        if torch.version.hip is not None or torch.cuda.get_device_capability(place) >= (8, 0):
            return torch.bfloat16, "auto: this cuda device computes in it"
        return torch.float32, "auto: this cuda device has no bfloat16"
    return torch.float32, f"auto: the exact choice on {place.type}"
