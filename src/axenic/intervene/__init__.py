"""The spec of an intervention, and the hooks that carry it out row by row."""

from axenic.intervene.arm import PLAIN, Arm
from axenic.intervene.factors import AdapterFactors
from axenic.intervene.hooks import InterventionHooks
from axenic.intervene.spec import Intervention, Op, Positions
from axenic.intervene.verbs import add, clamp, project_out, project_out_single, scale_adapter, swap_adapter

__all__ = [
    "PLAIN",
    "AdapterFactors",
    "Arm",
    "Intervention",
    "InterventionHooks",
    "Op",
    "Positions",
    "add",
    "clamp",
    "project_out",
    "project_out_single",
    "scale_adapter",
    "swap_adapter",
]
