"""The configuration of a training run from a file, `--set` options and the named options, in rising order."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from axenic.cli.parse import parse_settings
from axenic.errors import DataError, FileError, UsageError
from axenic.files import read_json
from axenic.train import TrainConfig, is_published_config, read_published_config, resolve


def training_config(
    given: Mapping[str, str | None],
    settings: Sequence[str],
    config: Path | None,
    note: Callable[[str], None] = lambda text: None,
) -> TrainConfig:
    """The resolved configuration.

    Args:
        given: The named options; None = not given.
        settings: `key=value` texts.
        config: TOML file, a JSON file with the same keys, a JSON file of the papers' code (formats F2), or None.
        note: Told what of a published file has no effect or is done otherwise.

    Raises:
        UsageError: An unknown key (with the nearest name), a value out of range, or no data.
        FileError, DataError: The file cannot be read, or is neither TOML nor JSON.
    """
    values = {} if config is None else _from_file(config, given.get("recipe"), note)
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


def _from_file(path: Path, recipe: str | None, note: Callable[[str], None]) -> dict[str, Any]:
    """What a configuration file says, whichever of the three kinds it is."""
    if path.suffix != ".json":
        return read_toml(path)
    content = read_json(path)
    if not is_published_config(content):
        if not isinstance(content, dict):
            raise DataError(
                "the configuration is not a JSON object", where=path, found=type(content).__name__
            )
        return content
    if recipe is not None:
        raise UsageError(
            "a published configuration decides every value: a recipe would change nothing",
            where="--recipe",
            found=f"--recipe {recipe} with --config {path}",
            hint="leave --recipe out, or change single values with --set",
        )
    published = read_published_config(path)
    for text in published.notes:
        note(text)
    return {"recipe": published.recipe, **published.values}


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
