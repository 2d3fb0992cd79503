"""Configurations side by side: what all runs share once, what differs in a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from axenic.report.tables import Table

MOST_KEYS = 40
"""Columns of the table; runs that differ in more are described by their own files."""
MOST_CELL = 120
"""Characters of a value."""


def configs_table(configs: Mapping[str, Any]) -> tuple[str, Table | None]:
    """What every configuration says alike, as JSON text, and the other keys as a table with a row for each file.

    Args:
        configs: File -> its content, nested as it is there; keys are joined by dots.

    Returns:
        The shared part as JSON with sorted keys, `{}` where nothing is shared; None for the table when nothing differs.
    """
    flat = {name: _flat(content) for name, content in configs.items()}
    keys = sorted({key for values in flat.values() for key in values})
    texts = {key: [values.get(key, "–") for values in flat.values()] for key in keys}
    differing = [key for key in keys if len(set(texts[key])) > 1]
    shared = {key: texts[key][0] for key in keys if key not in differing}
    text = json.dumps(shared, indent=2, ensure_ascii=False)
    if not differing:
        return text, None
    columns = differing[:MOST_KEYS]
    rows = tuple((name, *(values.get(key, "–") for key in columns)) for name, values in flat.items())
    return text, Table(("file", *columns), rows)


def _flat(content: Any, prefix: str = "") -> dict[str, str]:
    """Dotted key -> short text of the value."""
    if not isinstance(content, Mapping) or not content:
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        short = text if len(text) <= MOST_CELL else f"{text[:MOST_CELL]}…"
        return {prefix or "value": short}
    found: dict[str, str] = {}
    for key, value in content.items():
        found |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return found
