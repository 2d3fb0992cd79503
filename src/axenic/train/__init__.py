"""Make model organisms: recipes, training that survives a kill, adapter trajectories.

`resolve("rank1", "nano", {"data": FILE})` gives a `TrainConfig`, `train_organism(config, out)` a run folder.
"""

from typing import TYPE_CHECKING, Any

from axenic.train.config import TrainConfig
from axenic.train.published import Published, is_published_config, read_published_config
from axenic.train.recipes import NANO, RECIPES, Explained, Recipe, Setting, explain, place_layers, resolve
from axenic.train.result import TrainResult

if TYPE_CHECKING:
    from axenic.train.kl import from_published
    from axenic.train.run import train_organism
    from axenic.train.vector import added_vectors, save_as_organism

__all__ = [
    "TrainConfig",
    "TrainResult",
    "train_organism",
    "from_published",
    "added_vectors",
    "save_as_organism",
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
    if name == "from_published":
        from axenic.train.kl import from_published

        return from_published
    if name in ("added_vectors", "save_as_organism"):
        from axenic.train import vector

        return vars(vector)[name]
    raise AttributeError(name)
