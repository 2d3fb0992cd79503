"""`axenic train --plan`: what the run needs, before anything is loaded, and the command that gives it that."""

from __future__ import annotations

import re

from axenic.cli.outcome import Grid, Outcome
from axenic.errors import UsageError
from axenic.train import TrainConfig

_DEVICES = re.compile(r"(?:(\d+)x)?(\d+(?:\.\d+)?)(?:GB)?", re.IGNORECASE)


def show_plan(config: TrainConfig, devices: str | None) -> Outcome:
    """The memory plan as the end of a command.

    Args:
        devices: `8x80` for eight devices of 80 GB, `80` for as many as it takes; None for this machine's.

    Raises:
        UsageError: `devices` says something else; or the configuration does not fit the model.
    """
    from axenic.train.memory import HEADROOM, plan_memory, smallest_plan

    count, size = parse_devices(devices)
    plan = (
        smallest_plan(config, device_bytes=size)
        if count is None
        else plan_memory(config, processes=count, device_bytes=size)
    )
    shared = "on one device" if plan.processes == 1 else f"on each of {plan.processes} devices (FSDP2)"
    lines = [
        (f"weights ({plan.dtype})", plan.weights),
        ("gradients", plan.gradients),
        (f"moments ({plan.optimizer})", plan.moments),
        ("whole blocks of a sharded model", plan.gathered),
        ("activations" + (", recomputed" if plan.recompute else "") + " (estimate)", plan.activations),
        ("logits of one pass", plan.logits),
        ("total", plan.total),
    ]
    verdict = {True: "fits", False: "does not fit", None: "this device's memory is not known"}[plan.fits]
    room = "" if plan.device_bytes is None else f"; {plan.device_bytes / 1e9:.1f} GB there"
    extra = (
        ("--set", "gradient_checkpointing=true")
        if plan.processes == 1 and plan.recompute and not config.gradient_checkpointing
        else ()
    )
    if config.start_from is not None:
        extra = (*extra, "--set", f"start_from={config.start_from}")
    facts = vars(plan) | {"total": plan.total, "fits": plan.fits, "launch": list(plan.launch)}
    return Outcome(
        "train --plan",
        f"{verdict}: {plan.total * HEADROOM / 1e9:.1f} GB {shared}, of which a tenth is headroom{room}; nothing trained",
        {**facts, "config": config.model_dump(mode="json")},
        (
            Grid(("what", "is"), [("parameters", f"{plan.parameters:,}"), ("trained", f"{plan.trained:,}")]),
            Grid(("bytes per device", "GB"), [(name, f"{size / 1e9:.3f}") for name, size in lines], right=frozenset({1})),
        ),
        next=(*plan.launch, "train", "--model", config.model, "--data", config.data, "--recipe", config.recipe, *extra)
        if plan.fits is not False
        else (),
    )  # fmt: skip


def parse_devices(text: str | None) -> tuple[int | None, int | None]:
    """Number of devices and bytes of each, from `8x80`, `80` or `8x80GB`; None where it is not said."""
    if text is None:
        return None, None
    match = _DEVICES.fullmatch(text.strip())
    if match is None or float(match.group(2)) <= 0 or match.group(1) == "0":
        raise UsageError(
            "these are no devices", where="--plan-for", expected="8x80, or 80: GB of each device", found=text
        )
    return int(match.group(1)) if match.group(1) else None, int(float(match.group(2)) * 1e9)
