"""Open a model, name its sites, and know who it is."""

from axenic.models.families import FAMILIES
from axenic.models.identity import Identity
from axenic.models.open import open_model
from axenic.models.opened import OpenModel, from_parts
from axenic.models.place import Placement, resolve_device
from axenic.models.selftest import check_hooks
from axenic.models.sites import LoraSite, Site, Sites, find_sites, site_tensor, with_site_tensor
from axenic.models.tiny import tiny_model, tiny_organism

__all__ = [
    "FAMILIES",
    "Identity",
    "LoraSite",
    "OpenModel",
    "Placement",
    "Site",
    "Sites",
    "check_hooks",
    "find_sites",
    "from_parts",
    "open_model",
    "resolve_device",
    "site_tensor",
    "tiny_model",
    "tiny_organism",
    "with_site_tensor",
]
