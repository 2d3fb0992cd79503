"""Hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from axenic.errors import DataError, FileError
from axenic.files import content_id, sha256_file

pytestmark = pytest.mark.unit


def test_sha256_of_a_file(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "x").write_bytes(data)
    assert sha256_file(tmp_path / "x") == hashlib.sha256(data).hexdigest()


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot read x"):
        sha256_file(tmp_path / "x")


def test_ids_are_stable_across_releases() -> None:
    # Ids are stored in answer tables: another value here means that every finished job is done again.
    assert (
        content_id({"b": [1, 2.5, None], "a": "é"})
        == hashlib.sha256('{"a":"é","b":[1,2.5,null]}'.encode()).hexdigest()[:16]
    )
    assert content_id({"a": 1, "b": 2}) == content_id({"b": 2, "a": 1})
    assert len(content_id(1)) == 16
    assert len(content_id(1, length=64)) == 64


def test_what_is_no_json_has_no_id() -> None:
    with pytest.raises(DataError):
        content_id(float("nan"))
