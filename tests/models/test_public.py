"""The public names: what others import is on this list, and what is on this list is there."""

from __future__ import annotations

import pytest

import axenic.models

pytestmark = pytest.mark.unit


def test_public_names() -> None:
    assert axenic.models.__all__ == [
        "FAMILIES",
        "Head",
        "Identity",
        "LoraSite",
        "OpenModel",
        "Placement",
        "Site",
        "Sites",
        "SteeringVector",
        "VectorConfig",
        "VectorSite",
        "add_vectors",
        "check_hooks",
        "check_logits",
        "find_model",
        "find_sites",
        "from_parts",
        "load_tokenizer",
        "merge_vectors",
        "open_model",
        "read_vectors",
        "resolve_device",
        "save_vectors",
        "scaled_vectors",
        "site_tensor",
        "steering_of",
        "tiny_model",
        "tiny_organism",
        "with_site_tensor",
        "wrap_with_adapter",
    ]
    assert set(axenic.models.__all__) <= set(dir(axenic.models))
