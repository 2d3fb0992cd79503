"""Open a model, name its sites, and know who it is."""

from axenic.models.families import FAMILIES
from axenic.models.find import find_model
from axenic.models.head import Head, check_logits
from axenic.models.identity import Identity
from axenic.models.lora import LoraSite
from axenic.models.open import load_tokenizer, open_model
from axenic.models.opened import OpenModel, from_parts
from axenic.models.outputs import site_tensor, with_site_tensor
from axenic.models.place import Placement, resolve_device
from axenic.models.selftest import check_hooks
from axenic.models.sites import Site, Sites, find_sites
from axenic.models.tiny import tiny_model, tiny_organism
from axenic.models.vector import (
    SteeringVector,
    VectorConfig,
    VectorSite,
    add_vectors,
    merge_vectors,
    read_vectors,
    save_vectors,
    scaled_vectors,
    steering_of,
)
from axenic.models.wrap import wrap_with_adapter

__all__ = [
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
