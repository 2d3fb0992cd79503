"""JSON text: one way to write a value, and one strict way to read it back."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from axenic.errors import DataError, FileError
from axenic.files.atomic import atomic_write
from axenic.files.disk import disk_errors

# A lone surrogate cannot be written as UTF-8. It only occurs inside JSON strings, where \uXXXX says the same.
_SURROGATE = re.compile("[\ud800-\udfff]")


class NotFiniteError(ValueError):
    """The JSON text holds NaN, Infinity or a number beyond float64."""


def canonical_json(obj: Any) -> str:
    """The one text of a value: sorted keys, no spaces, no NaN. A tuple is a list; 1 and 1.0 differ.

    Raises:
        DataError: `obj` holds NaN, an infinity, or something that JSON does not know (a tensor, a path, ...).
    """
    return _dump(obj, sort_keys=True, separators=(",", ":"))


def json_line(obj: Any) -> str:
    """The text of one table row: one line, keys in the order given.

    Raises:
        DataError: As for `canonical_json`.
    """
    return _dump(obj)


def parse_json(raw: bytes) -> Any:
    """Read JSON strictly: UTF-8 without BOM, no NaN or Infinity, nothing after the value.

    Raises:
        NotFiniteError: The text holds NaN, an infinity, or a number that overflows float64.
        ValueError: Anything else is wrong; `UnicodeDecodeError` and `json.JSONDecodeError` are kinds of it.
    """
    try:
        return _DECODER.decode(raw.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def write_json(path: str | Path, obj: Any) -> None:
    """Write a value as JSON, sorted keys, 2 spaces, final newline, atomically.

    Raises:
        DataError: The value cannot be written as JSON.
        FileError, DiskFullError: As for `atomic_write`.
    """
    atomic_write(path, _dump(obj, sort_keys=True, indent=2, where=path) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        FileError: The file is missing, not UTF-8, not JSON, or holds NaN; says the line and column.
    """
    path = Path(path)
    with disk_errors(path, "read"):
        raw = path.read_bytes()
    try:
        return parse_json(raw)
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise FileError(f"{path.name} is not JSON: {error.msg}", where=where) from error
    except ValueError as error:
        raise FileError(f"{path.name} is not JSON: {error}", where=path) from error


def _dump(obj: Any, *, where: object = None, **layout: Any) -> str:
    try:
        text = json.dumps(obj, ensure_ascii=False, allow_nan=False, **layout)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(
            "a value cannot be written as JSON",
            where=where,
            expected="text, finite numbers, true, false, null, lists, and objects with text keys",
            found=error,
        ) from error
    return _SURROGATE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _refuse_constant(name: str) -> Any:
    raise NotFiniteError(f"{name} is not a JSON number")


def _finite_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise NotFiniteError(f"{digits} is beyond float64")
    return value


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite_float)
