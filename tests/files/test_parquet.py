"""Parquet there and back; nothing half written, nothing torn read."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from axenic.errors import DiskFullError, FileError
from axenic.files import is_temporary, parquet_facts, parquet_writer, read_parquet

pytestmark = pytest.mark.unit

SCHEMA = pa.schema([("id", pa.string()), ("x", pa.float32())])


def table(start: int, n: int = 1000) -> pa.Table:
    rows = range(start, start + n)
    return pa.table({"id": [f"row{i // 10}" for i in rows], "x": [i / 3 for i in rows]}, schema=SCHEMA)


def write(path: Path, groups: int = 3) -> None:
    with parquet_writer(path, SCHEMA, {"unit": "nats", "n": [1, 2]}, "key", repeated=["id"]) as writer:
        for group in range(groups):
            writer.write_table(table(1000 * group))


def test_there_and_back_and_as_another_program_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "t.parquet"
    write(path)
    assert parquet_facts(path, "key") == ({"unit": "nats", "n": [1, 2]}, 3000, ["id", "x"])
    assert read_parquet(path, ["x"]).column_names == ["x"]
    whole = pq.read_table(path)
    assert whole.replace_schema_metadata().equals(pa.concat_tables(table(1000 * g) for g in range(3)))
    assert pq.ParquetFile(path).metadata.num_row_groups == 3
    assert [entry.name for entry in path.parent.iterdir()] == ["t.parquet"]


def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write(path, 1)
    before = path.read_bytes()

    def fail() -> None:
        with parquet_writer(path, SCHEMA, {}, "key") as writer:
            writer.write_table(table(0))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_said_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.parquet"
    write(path, 1)
    before = path.read_bytes()

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match=r"t\.parquet"):
        write(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_disk_that_fills_up_under_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.dup

    def onto_a_full_disk(fd: int) -> int:
        os.close(real(fd))
        return os.open("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(os, "dup", onto_a_full_disk)
    with pytest.raises(DiskFullError):
        write(tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault
def test_a_killed_writer_leaves_no_file_of_that_name(tmp_path: Path) -> None:
    script = f"""
    import os, signal
    import pyarrow as pa
    from axenic.files import parquet_writer
    schema = pa.schema([("x", pa.float32())])
    with parquet_writer({str(tmp_path / "t.parquet")!r}, schema, {{}}, "key") as writer:
        writer.write_table(pa.table({{"x": [1.0] * 100}}, schema=schema))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert is_temporary(left)


def test_torn_foreign_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with pytest.raises(FileError, match="cannot read"):
        parquet_facts(path, "key")
    write(path)
    raw = path.read_bytes()
    for cut in (0, 3, 100, len(raw) // 2, len(raw) - 1):
        path.write_bytes(raw[:cut])
        with pytest.raises(FileError):
            parquet_facts(path, "key")
    path.write_bytes(raw)
    with pytest.raises(FileError, match="does not say"):
        parquet_facts(path, "other")
    with pytest.raises(FileError, match="lacks a column"):
        read_parquet(path, ["x", "y"])
    path.write_bytes(raw[:4] + bytes(len(raw) // 2) + raw[4 + len(raw) // 2 :])
    with pytest.raises(FileError, match=r"torn|cannot read"):
        read_parquet(path, ["id", "x"])
