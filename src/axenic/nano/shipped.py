"""Where the packaged base model lies."""

from __future__ import annotations

from pathlib import Path

MODEL_PATH: Path = Path(__file__).parent / "base"
"""Folder of the shipped base model, a genuine Hugging Face model folder."""
