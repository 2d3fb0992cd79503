"""The spec of an intervention, and the hooks that carry it out row by row."""

from axenic.intervene.hooks import InterventionHooks
from axenic.intervene.spec import (
    PLAIN,
    Arm,
    Intervention,
    add,
    clamp,
    project_out,
    project_out_single,
    scale_adapter,
)

__all__ = [
    "PLAIN",
    "Arm",
    "Intervention",
    "InterventionHooks",
    "add",
    "clamp",
    "project_out",
    "project_out_single",
    "scale_adapter",
]
