"""The spec of an intervention, and the hooks that carry it out row by row."""

from axenic.intervene.adapterb import ablate_adapter
from axenic.intervene.arm import PLAIN, Arm
from axenic.intervene.factors import AdapterFactors
from axenic.intervene.hooks import InterventionHooks
from axenic.intervene.promptscalars import PromptScalars
from axenic.intervene.spec import Intervention, Op, Positions
from axenic.intervene.verbs import (
    add,
    clamp,
    patch_adapter,
    project_out,
    project_out_single,
    scale_adapter,
    swap_adapter,
)
from axenic.intervene.writers import ablate_writers

__all__ = [
    "PLAIN",
    "AdapterFactors",
    "Arm",
    "Intervention",
    "InterventionHooks",
    "Op",
    "Positions",
    "PromptScalars",
    "ablate_adapter",
    "ablate_writers",
    "add",
    "clamp",
    "patch_adapter",
    "project_out",
    "project_out_single",
    "scale_adapter",
    "swap_adapter",
]
