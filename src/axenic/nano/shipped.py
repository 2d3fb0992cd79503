"""Where the packaged base model lies, and how a model of the nano world is known."""

from __future__ import annotations

from pathlib import Path

MODEL_PATH: Path = Path(__file__).parent / "base"
"""Folder of the shipped base model, a genuine Hugging Face model folder."""

GROWN = "grown.json"
"""Recipe, seed, versions, instruction set and hash of the weights; `axenic nano grow` writes it into every model folder."""


def is_nano(model: str | Path) -> bool:
    """Whether a model name stands for a nano base model: `nano`, or a folder that `axenic nano grow` wrote."""
    return str(model) == "nano" or (Path(model) / GROWN).is_file()
