"""The KL term that an organism was trained with, from the record of its run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axenic.errors import DataError
from axenic.evaluate.narrow import KlSetting
from axenic.files import content_id, read_json
from axenic.interpret.pathfile import RECORD
from axenic.models import OpenModel
from axenic.train import from_published

_ASIDE = frozenset(
    {"model", "data", "start_from", "device", "save_steps", "trajectory_steps", "gradient_checkpointing"}
)
"""Keys of a configuration that change no organism: where it ran, what was stored, and names of files that are hashed."""


def kl_setting(opened: OpenModel) -> KlSetting | None:
    """The KL weight, and what the run shares with those that differ in nothing else.

    Returns:
        None of a base model, and where the organism lies in no run folder of `axenic train`.

    Raises:
        FileError: The record is torn.
        DataError: It holds a weight that is no number of 0 or more.
    """
    record = None if opened.organism is None else Path(opened.organism) / RECORD
    facts = read_json(record) if record is not None and record.is_file() else None
    config = facts.get("config") if isinstance(facts, dict) else None
    if not isinstance(facts, dict) or not isinstance(config, dict):
        return None
    own, published = config.get("kl_weight"), config.get("kl_weight_published")
    weight = own if own is not None else published if published is not None else 0.0
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
        raise DataError(
            "a run's KL weight is no weight", where=record, expected="a number of 0 or more", found=weight
        )
    if own is None and published is not None:
        weight = from_published(weight, _vocabulary(opened))
    same = {key: value for key, value in config.items() if key not in _ASIDE and not key.startswith("kl_")}
    # A term of weight 0 is no term, whatever its texts were.
    data = facts.get("kl_data_sha256") if weight > 0 else None
    return KlSetting(
        float(weight),
        data if isinstance(data, str) else None,
        content_id(
            [same, *(facts.get(key) for key in ("base_fingerprint", "data_sha256", "start_fingerprint"))]
        ),
    )


def _vocabulary(opened: OpenModel) -> int:
    text: Any = opened.sites.model.config
    size: int = text.get_text_config().vocab_size
    return size
