"""The table: an append-only JSONL file keyed by `id`, which a kill or a full disk cannot spoil."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from axenic.errors import DataError
from axenic.files.disk import FULL, disk_errors, disk_full, make_folder, sync_folder, write_all
from axenic.files.jsontext import NotFiniteError, json_line, parse_json
from axenic.files.lock import lock


class Table:
    """Rows of one JSONL file: one JSON object with a text `id` per line, ids unique.

    A line counts when it ends in a newline. The LAST line may be torn (no newline, or not JSON): reading
    ignores it, appending cuts it off. Every other bad line is an error: rows must not vanish silently.

    Args:
        path: The file. It need not exist: a missing file is an empty table.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        # What the last scan found, so that appending chunk by chunk does not read the file each time.
        self._lines: dict[str, int] = {}
        self._end = 0
        self._seen: tuple[int, ...] | None = None

    def rows(self) -> list[dict[str, Any]]:
        """Every whole row, in file order.

        Raises:
            DataError: At `file:line`: not UTF-8, not a JSON object, NaN, no text `id`, or an id seen before.
            FileError: The file cannot be read.
        """
        return list(self._scan())

    def ids(self) -> set[str]:
        """The ids of every whole row. Raises as `rows`."""
        self._refresh()
        return set(self._lines)

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows by one write, flushed to the disk before this returns; all of them, or an error.

        Raises:
            DataError: A row is no JSON, has no text `id`, or its id is in the table or twice among `rows`;
                nothing is written.
            DiskFullError: The disk ran full; the file is cut back to the last whole row before this call.
            FileError: The file cannot be written; cut back likewise.
        """
        rows = list(rows)
        if not rows:
            return
        with disk_errors(self.path, "append to"):
            make_folder(self.path.parent)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                lock(fd)
                self._refresh()
                self._append_locked(fd, rows)
            finally:
                os.close(fd)

    def _append_locked(self, fd: int, rows: list[Mapping[str, Any]]) -> None:
        new: dict[str, int] = {}
        block = bytearray()
        for number, row in enumerate(rows, start=len(self._lines) + 1):
            key = self._key(row, f"row {number - len(self._lines)} of those appended to {self.path}")
            if key in self._lines or key in new:
                raise self._repeated(key, self._lines.get(key) or new[key], number)
            new[key] = number
            block += json_line(dict(row)).encode("utf-8") + b"\n"
        try:
            if os.fstat(fd).st_size > self._end:
                os.ftruncate(fd, self._end)
            os.lseek(fd, self._end, os.SEEK_SET)
            write_all(fd, block)
            os.fsync(fd)
        except OSError as error:
            os.ftruncate(fd, self._end)
            if error.errno in FULL:
                raise disk_full(self.path, len(block)) from error
            raise
        if self._end == 0:
            sync_folder(self.path.parent)
        self._lines.update(new)
        self._end += len(block)
        self._seen = self._identity()

    def _refresh(self) -> None:
        """Scan the file unless it is as the last scan or append left it."""
        if self._seen is None or self._seen != self._identity():
            for _ in self._scan():
                pass

    def _identity(self) -> tuple[int, ...]:
        with disk_errors(self.path, "read"):
            try:
                stat = os.stat(self.path)
            except FileNotFoundError:
                return ()
        return (stat.st_ino, stat.st_size, stat.st_mtime_ns)

    def _scan(self) -> Iterator[dict[str, Any]]:
        """Yield every whole row; remember ids, their lines, and where the last whole row ends."""
        lines: dict[str, int] = {}
        end = 0
        seen = self._identity()
        for number, (line, last) in enumerate(self._raw_lines(), start=1):
            where = f"{self.path}:{number}"
            if not line.endswith(b"\n"):
                break
            try:
                row = parse_json(line)
            except (UnicodeDecodeError, NotFiniteError) as error:
                raise self._not_json(where, error) from error
            except ValueError as error:
                if last:
                    break
                raise self._not_json(where, error) from error
            key = self._key(row, where)
            if key in lines:
                raise self._repeated(key, lines[key], number)
            lines[key] = number
            end += len(line)
            yield row
        self._lines, self._end, self._seen = lines, end, seen

    def _raw_lines(self) -> Iterator[tuple[bytes, bool]]:
        """Each line with its newline, and whether it is the last one; split at b"\\n" only, not at U+2028."""
        with disk_errors(self.path, "read"):
            try:
                handle = self.path.open("rb")
            except FileNotFoundError:
                return
            with handle:
                held = b""
                for line in handle:
                    if held:
                        yield held, False
                    held = line
                if held:
                    yield held, True

    def _not_json(self, where: str, error: ValueError) -> DataError:
        return DataError(
            f"a line of {self.path.name} is not JSON",
            where=where,
            expected="one JSON object in UTF-8, finite numbers only; only the last line may be torn",
            found=error,
            hint="restore the file, or delete this line: its row is then made again",
        )

    def _key(self, row: Any, where: str) -> str:
        if not isinstance(row, Mapping):
            raise DataError(
                "a row is not a JSON object", where=where, expected="an object", found=type(row).__name__
            )
        key = row.get("id")
        if not isinstance(key, str) or not key:
            raise DataError("a row has no id", where=where, expected="a non-empty text `id`", found=repr(key))
        return key

    def _repeated(self, key: str, first: int, second: int) -> DataError:
        return DataError(
            f"id {key} is in {self.path.name} twice",
            where=f"{self.path}:{second}",
            expected="each id once",
            found=f"the same id at line {first}",
            hint="is another command writing to this file? If not, delete one of the two lines",
        )
