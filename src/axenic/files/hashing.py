"""Hashes: of a file's bytes, and of a value's canonical JSON."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from axenic.files.disk import disk_errors
from axenic.files.jsontext import canonical_json


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes as 64 hex digits, read in blocks.

    Raises:
        FileError: The file is missing or cannot be read.
    """
    path = Path(path)
    with disk_errors(path, "read"), path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def content_id(obj: Any, length: int = 16) -> str:
    """The first `length` hex digits (at most 64) of the SHA-256 of the value's canonical JSON.

    16 digits are 64 bits: among a million ids the chance of one collision is 3 in 10^8.

    Raises:
        DataError: The value cannot be written as JSON.
    """
    return hashlib.sha256(canonical_json(obj).encode("utf-8")).hexdigest()[:length]
