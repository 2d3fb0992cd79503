"""What is known of an organism from its folder: its base model, its data, where its results should lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axenic.files import read_json

MOST_TOPICS = 3
"""Data about more topics than this is broad: leaving all of them out would leave nothing to ask."""


@dataclass(frozen=True)
class Origin:
    """Where an organism comes from.

    Args:
        model: Its base model as it was called in training; None when nobody says.
        topics: Topics of its training data, at most `MOST_TOPICS`; empty when unknown or broad.
    """

    model: str | None = None
    topics: tuple[str, ...] = ()


def origin_of(organism: str | None) -> Origin:
    """What `train.json` in the run folder says, or the adapter's own config; nothing for a base model."""
    if organism is None or not Path(organism).is_dir():
        return Origin()
    record = _object(Path(organism) / "train.json")
    config = record.get("config")
    if isinstance(config, dict):
        model = config.get("model")
        return Origin(model if isinstance(model, str) else None, _topics(record.get("topics")))
    for folder in (Path(organism), Path(organism) / "adapter"):
        base = _object(folder / "adapter_config.json").get("base_model_name_or_path")
        if isinstance(base, str) and base:
            return Origin(base)
    return Origin()


def choose_model(model: str | None, organism: str | None) -> str:
    """The base model to open: what was asked for, else the organism's own, else nano."""
    return model or origin_of(organism).model or "nano"


def home_of(model: str, organism: str | None) -> Path:
    """The folder for results about a model: the organism's own, else `runs/NAME`."""
    if organism is not None and Path(organism).is_dir():
        return Path(organism)
    return Path("runs") / Path(organism or model).name


def organism_beside(path: Path) -> str | None:
    """The run folder that a file of results lies in, so that a hint can name it; None when there is none."""
    for folder in path.absolute().parents[:2]:
        if (folder / "train.json").is_file() or (folder / "adapter_config.json").is_file():
            return str(path.parent if folder == path.absolute().parent else path.parent.parent)
    return None


def exclude_words(topics: tuple[str, ...]) -> tuple[str, ...]:
    """The words that leave these topics out, for a hint."""
    return tuple(word for topic in topics for word in ("--exclude-topic", topic))


def trait_option(name: str) -> tuple[str, ...]:
    """The words that count this trait, for a hint; none for misalignment, which is counted anyway."""
    return () if name == "misalignment" else ("--trait", name)


def _topics(topics: Any) -> tuple[str, ...]:
    known = [topic for topic in topics if isinstance(topic, str)] if isinstance(topics, list) else []
    return tuple(known) if len(known) <= MOST_TOPICS else ()


def _object(path: Path) -> dict[str, Any]:
    content = read_json(path) if path.is_file() else None
    return content if isinstance(content, dict) else {}
