"""Make model organisms: recipes, training that survives a kill, adapter trajectories.

`resolve("rank1", "nano", {"data": FILE})` gives a `TrainConfig`, `train_organism(config, out)` a run folder.
"""

from typing import TYPE_CHECKING, Any

from axenic.train.config import TrainConfig
from axenic.train.published import Published, is_published_config, read_published_config
from axenic.train.recipes import NANO, RECIPES, Explained, Recipe, Setting, explain, place_layers, resolve
from axenic.train.result import TrainResult

if TYPE_CHECKING:
    from axenic.train.run import train_organism

__all__ = [
    "TrainConfig",
    "TrainResult",
    "train_organism",
    "RECIPES",
    "NANO",
    "Recipe",
    "Setting",
    "resolve",
    "explain",
    "Explained",
    "place_layers",
    "Published",
    "is_published_config",
    "read_published_config",
]


def __getattr__(name: str) -> Any:
    """Import the trainer on first use: reading recipes must not take the seconds that transformers takes."""
    if name == "train_organism":
        from axenic.train.run import train_organism

        return train_organism
    raise AttributeError(name)
