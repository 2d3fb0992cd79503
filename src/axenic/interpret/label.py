"""What a model is called in results."""

from __future__ import annotations

from pathlib import Path

from axenic.models import OpenModel


def label_of(opened: OpenModel) -> str:
    """The organism's folder name, else the model's name."""
    return Path(opened.organism).name if opened.organism is not None else opened.name
