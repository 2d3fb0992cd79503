"""The manifest: every kind of torn folder is refused by name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from axenic.errors import AxenicError, DataError, TornFileError
from axenic.files import verify_manifest, write_json, write_manifest

pytestmark = [pytest.mark.unit, pytest.mark.fault]

FACTS = {"step": 40, "base": "nano", "nested": {"seed": 0}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "step-40"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"a" * 1000)
    (folder / "b.bin").write_bytes(b"b" * 2000)
    (folder / "deep" / "c.bin").write_bytes(b"")
    write_manifest(folder, FACTS)
    return folder


def test_a_whole_folder_gives_its_facts(folder: Path) -> None:
    assert verify_manifest(folder) == FACTS
    assert verify_manifest(folder, allow_extra=False) == FACTS


def test_the_manifest_is_readable_and_stable(folder: Path) -> None:
    before = (folder / "manifest.json").read_bytes()
    write_manifest(folder, FACTS)
    assert (folder / "manifest.json").read_bytes() == before
    assert sorted(json.loads(before)["files"]) == ["a.bin", "b.bin", "deep/c.bin"]


def zero_fill(folder: Path) -> None:
    (folder / "b.bin").write_bytes(b"\0" * 2000)


def swap(folder: Path) -> None:
    (folder / "b.bin").write_bytes(b"c" * 2000)


@pytest.mark.parametrize(
    ("spoil", "wrong", "words"),
    [
        (lambda f: (f / "b.bin").unlink(), "b.bin", "missing"),
        (lambda f: os.truncate(f / "b.bin", 1999), "b.bin", "truncated"),
        (lambda f: os.truncate(f / "b.bin", 2001), "b.bin", "too long"),
        (lambda f: (f / "deep" / "c.bin").write_bytes(b"1"), "c.bin", "too long"),
        (zero_fill, "b.bin", "other bytes"),
        (swap, "b.bin", "other bytes"),
        (lambda f: ((f / "b.bin").unlink(), (f / "b.bin").mkdir()), "b.bin", "missing"),
        (lambda f: (f / "manifest.json").unlink(), "step-40", "has no manifest.json"),
        (lambda f: os.truncate(f / "manifest.json", 40), "manifest.json", "is not JSON"),
        (lambda f: (f / "manifest.json").write_bytes(b"\0" * 100), "manifest.json", "is not JSON"),
        (
            lambda f: write_json(f / "manifest.json", {"files": [], "facts": {}}),
            "manifest.json",
            "is not a manifest",
        ),
    ],
)
def test_torn_folders(folder: Path, spoil: Callable[[Path], object], wrong: str, words: str) -> None:
    spoil(folder)
    with pytest.raises(TornFileError, match=words) as caught:
        verify_manifest(folder)
    assert wrong in str(caught.value.where)


def test_sizes_are_said(folder: Path) -> None:
    os.truncate(folder / "b.bin", 1500)
    with pytest.raises(TornFileError) as caught:
        verify_manifest(folder)
    assert (caught.value.expected, caught.value.found) == ("2,000 bytes", "1,500 bytes")


def test_the_first_wrong_file_is_named(folder: Path) -> None:
    (folder / "a.bin").unlink()
    (folder / "b.bin").unlink()
    with pytest.raises(TornFileError, match=r"a\.bin is missing"):
        verify_manifest(folder)


def test_another_runs_manifest(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.bin").write_bytes(b"z" * 1000)
    write_manifest(other, {"step": 20})
    (folder / "manifest.json").write_bytes((other / "manifest.json").read_bytes())
    with pytest.raises(TornFileError, match=r"a\.bin has other bytes"):
        verify_manifest(folder)


def test_a_stray_file(folder: Path) -> None:
    (folder / "stray").write_text("1")
    assert verify_manifest(folder) == FACTS
    with pytest.raises(TornFileError, match="stray is not in the manifest"):
        verify_manifest(folder, allow_extra=False)


def test_unfinished_writes_are_not_part_of_the_folder(folder: Path) -> None:
    (folder / ".axenic-0.tmp").write_text("1")
    (folder / "deep" / ".axenic-1.tmp").mkdir()
    (folder / "deep" / ".axenic-1.tmp" / "x").write_text("1")
    assert verify_manifest(folder, allow_extra=False) == FACTS


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "deep/../../x", "", "a\0b", "n" * 5000])
def test_names_that_lead_outside_are_refused(folder: Path, name: str) -> None:
    write_json(folder / "manifest.json", {"files": {name: {"bytes": 1, "sha256": "0"}}, "facts": {}})
    with pytest.raises(AxenicError):
        verify_manifest(folder)


def test_facts_must_be_json(folder: Path) -> None:
    with pytest.raises(DataError):
        write_manifest(folder, {"loss": float("nan")})
    assert verify_manifest(folder) == FACTS
