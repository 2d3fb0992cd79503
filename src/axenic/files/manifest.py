"""The manifest: what a finished folder holds, byte for byte; a torn or mixed-up file is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from axenic.errors import FileError, TornFileError
from axenic.files.atomic import is_temporary
from axenic.files.disk import disk_errors
from axenic.files.hashing import sha256_file
from axenic.files.jsontext import read_json, write_json

NAME = "manifest.json"


def write_manifest(folder: str | Path, facts: Mapping[str, Any]) -> None:
    """Write `manifest.json`: name, bytes and SHA-256 of every file below `folder`, and the given facts.

    Args:
        folder: A finished folder. Unfinished writes (`is_temporary`) and the manifest itself are left out.
        facts: Anything JSON: step, seed, base model, ...

    Raises:
        DataError: The facts cannot be written as JSON.
        FileError, DiskFullError: A file cannot be read, or the manifest not written.
    """
    folder = Path(folder)
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
        for name in _files_below(folder)
    }
    write_json(folder / NAME, {"files": files, "facts": dict(facts)})


def verify_manifest(folder: str | Path, *, allow_extra: bool = True) -> dict[str, Any]:
    """Check every file of a folder against its manifest and return the facts.

    Args:
        folder: The folder that holds `manifest.json`.
        allow_extra: Whether files that the manifest does not name are allowed. Unfinished writes always are.

    Raises:
        TornFileError: The manifest is missing or no manifest; or a file is missing, truncated, too long, of
            the right length with other bytes, or unexpected: the first such in order of name.
    """
    folder = Path(folder)
    files, facts = _read(folder)
    for name in sorted(files):
        _verify_file(folder / name, name, **files[name])
    if not allow_extra:
        for name in _files_below(folder):
            if name not in files:
                raise TornFileError(
                    f"{name} is not in the manifest",
                    where=folder / name,
                    expected=f"only the {len(files)} files that {NAME} names",
                    found="an unexpected file",
                    hint="move it out of the folder",
                )
    return facts


def _verify_file(path: Path, name: str, bytes: int, sha256: str) -> None:
    size = f"{bytes:,} bytes"
    with disk_errors(path, "read"):
        if not path.is_file():
            raise TornFileError(f"{name} is missing", where=path, expected=size, found="no such file")
        found = path.stat().st_size
    if found != bytes:
        what = "truncated" if found < bytes else "too long"
        raise TornFileError(f"{name} is {what}", where=path, expected=size, found=f"{found:,} bytes")
    digest = sha256_file(path)
    if digest != sha256:
        raise TornFileError(
            f"{name} has other bytes than when it was written",
            where=path,
            expected=f"sha256 {sha256}",
            found=f"sha256 {digest}",
        )


def _read(folder: Path) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    path = folder / NAME
    if not path.is_file():
        raise TornFileError(
            f"{folder.name} has no {NAME}",
            where=folder,
            expected=f"{NAME}, which is written last",
            found="a folder that was not finished, or is of another kind",
        )
    try:
        manifest = read_json(path)
    except FileError as error:
        raise TornFileError(error.what, where=error.where, found=error.found) from error
    match manifest:
        case {"files": dict(files), "facts": dict(facts)} if all(_is_entry(*item) for item in files.items()):
            return files, facts
    raise TornFileError(
        f"{NAME} is not a manifest of Axenic",
        where=path,
        expected='{"files": {name: {"bytes": int, "sha256": text}}, "facts": {...}}, names inside the folder',
    )


def _is_entry(name: str, entry: Any) -> bool:
    """Whether an entry is well formed and stays inside the folder: a manifest may come from a stranger."""
    parts = PurePosixPath(name)
    match entry:
        case {"bytes": int(), "sha256": str(), **rest} if not rest:
            return bool(name) and not parts.is_absolute() and ".." not in parts.parts and "\0" not in name
    return False


def _files_below(folder: Path) -> list[str]:
    """Names of the files below a folder, as POSIX paths relative to it, sorted."""
    with disk_errors(folder, "list"):
        inside = [path for path in folder.rglob("*") if path.is_file()]
    names = (path.relative_to(folder) for path in inside)
    return sorted(
        name.as_posix()
        for name in names
        if name.as_posix() != NAME and not any(is_temporary(part) for part in name.parts)
    )
