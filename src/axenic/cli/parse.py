"""Option values that are more than one word: layers, strengths, `key=value`, lists after one option."""

from __future__ import annotations

import math
from collections.abc import Sequence

from axenic.errors import UsageError


def parse_layers(text: str, where: str = "--layers") -> tuple[int, ...]:
    """`1,2,3`, `1-4`, `0,4-6`: layers in order, each once.

    Raises:
        UsageError: Not of this form, or a range that runs backwards.
    """
    layers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(
                "layers cannot be read",
                where=where,
                expected="1,2,3 or 1-4, counted from 0",
                found=ascii(text),
            )
        start, stop = int(first), int(last or first)
        if stop < start or stop - start > 10_000:
            raise UsageError(
                "a range of layers runs backwards, or is too long", where=where, found=ascii(part)
            )
        layers += range(start, stop + 1)
    return tuple(dict.fromkeys(layers))


def parse_strengths(text: str, where: str = "--strengths") -> tuple[float, ...]:
    """`1,2,3` or `0.5,1.5`: factors of a direction, or of an adapter.

    Raises:
        UsageError: Not finite numbers.
    """
    try:
        strengths = tuple(float(part) for part in text.split(","))
    except ValueError:
        strengths = (math.nan,)
    if not all(math.isfinite(value) for value in strengths):
        raise UsageError(f"{where[2:]} cannot be read", where=where, expected="1,2,3", found=ascii(text))
    return tuple(dict.fromkeys(strengths))


def parse_settings(pairs: Sequence[str]) -> dict[str, object]:
    """`--set key=value` options as a mapping. Values stay text but for lists, none, true and false.

    Raises:
        UsageError: Without `=`, or a key that comes twice.
    """
    settings: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise UsageError(
                "a setting cannot be read", where="--set", expected="key=value", found=ascii(pair)
            )
        if key in settings:
            raise UsageError(f"{key} is set twice", where="--set", found=ascii(pair))
        settings[key] = _value(key, value.strip())
    return settings


def _value(key: str, text: str) -> object:
    if text.lower() in ("none", "null"):
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if key == "layers":
        return parse_layers(text.strip("[]() "))
    if key == "target_modules":
        return tuple(part.strip(" '\"") for part in text.strip("[]()").split(",") if part.strip())
    return text


def spread_lists(
    arguments: Sequence[str], names: Sequence[str] = ("--organisms", "--directions", "--seeds")
) -> list[str]:
    """`--organisms A B` as `--organisms A --organisms B`, which is what the parser understands."""
    spread: list[str] = []
    current: str | None = None
    fresh = False
    for word in arguments:
        if word.startswith("-"):
            current = word if word in names else None
            fresh = current is not None
            spread.append(word)
        elif current is not None and not fresh:
            spread += [current, word]
        else:
            fresh = False
            spread.append(word)
    return spread
