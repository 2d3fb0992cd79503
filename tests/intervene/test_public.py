"""The public names of the interventions."""

from __future__ import annotations

import pytest

import axenic.intervene

pytestmark = pytest.mark.unit


def test_public_names() -> None:
    assert axenic.intervene.__all__ == [
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
    assert set(axenic.intervene.__all__) <= set(dir(axenic.intervene))
