"""The configuration of a training run from a TOML file, `--set` options and the named options, in rising order."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from axenic.cli.parse import parse_settings
from axenic.errors import DataError, FileError, UsageError
from axenic.train import TrainConfig, resolve


def training_config(
    given: Mapping[str, str | None], settings: Sequence[str], config: Path | None
) -> TrainConfig:
    """The resolved configuration.

    Args:
        given: The named options; None = not given.
        settings: `key=value` texts.
        config: TOML file, or None.

    Raises:
        UsageError: An unknown key (with the nearest name), a value out of range, or no data.
        FileError, DataError: The file cannot be read, or is not TOML.
    """
    values = {} if config is None else read_toml(config)
    values |= parse_settings(settings)
    values |= {key: value for key, value in given.items() if value is not None}
    if "data" not in values:
        raise UsageError(
            "there is nothing to train on",
            where="--data",
            expected="a chat file (JSONL)",
            hint="axenic nano data --domain medical --kind bad, then axenic train --data data/bad_medical.jsonl",
        )
    recipe, model = values.pop("recipe", "all-adapter"), values.pop("model", "nano")
    try:
        return resolve(str(recipe), str(model), values)
    except UsageError as error:
        if config is None:
            raise
        raise UsageError(
            error.what, where=config, expected=error.expected, found=error.found, hint=error.hint
        ) from error


def read_toml(path: Path) -> dict[str, Any]:
    """A flat TOML file, or one whose values stand in a table `[train]`.

    Raises:
        FileError: It cannot be read.
        DataError: It is not TOML; the message names the line.
    """
    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise FileError("the configuration cannot be read", where=path, found=error.strerror) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError("the configuration is not TOML", where=path, found=error) from error
    table = content.get("train", content)
    return dict(table) if isinstance(table, dict) else content
