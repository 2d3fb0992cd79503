"""The table under kills, full disks and bad lines."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axenic.errors import DataError, DiskFullError, FileError
from axenic.files import Table

pytestmark = pytest.mark.unit

ROWS = st.lists(
    st.dictionaries(
        st.text(max_size=5),
        st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        max_size=4,
    ),
    max_size=8,
)


def with_ids(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "id": f"r{number}"} for number, row in enumerate(rows)]


def test_a_missing_file_is_empty(tmp_path: Path) -> None:
    table = Table(tmp_path / "deep" / "x.jsonl")
    assert table.rows() == []
    assert table.ids() == set()
    table.append([])
    assert not (tmp_path / "deep").exists()


@given(rows=ROWS, cut=st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_round_trip_in_two_appends(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], cut: int
) -> None:
    path = tmp_path_factory.mktemp("table") / "x.jsonl"
    rows = with_ids(rows)
    table = Table(path)
    table.append(rows[:cut])
    table.append(rows[cut:])
    assert table.rows() == Table(path).rows() == rows
    assert table.ids() == {row["id"] for row in rows}


@given(rows=ROWS, data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_file_cut_anywhere_keeps_its_whole_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("table") / "x.jsonl"
    rows = with_ids([{}, *rows])
    Table(path).append(rows)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")
    assert Table(path).rows() == rows[:kept]
    Table(path).append(rows[kept:])
    assert path.read_bytes() == whole


def test_unusual_line_separators_stay_inside_a_row(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "x\u2028y\x85z\x0b\r\n\0"}, {"id": "b", "text": "\ud800"}]
    Table(tmp_path / "x").append(rows)
    assert Table(tmp_path / "x").rows() == rows


@pytest.mark.parametrize(
    "tail", [b'{"id": "c"', b'{"id": "c"}', b"\0\0\0\0", b'{"id": "\xc3', b"}{\n", b"\n"]
)
def test_a_torn_last_line(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "x.jsonl"
    Table(path).append([{"id": "a"}, {"id": "b"}])
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    table = Table(path)
    assert [row["id"] for row in table.rows()] == ["a", "b"]
    assert path.read_bytes() == whole + tail, "reading must not change the file"
    table.append([{"id": "c"}])
    assert path.read_bytes() == whole + b'{"id": "c"}\n'


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"}{", "Expecting value"),
        (b"", "Expecting value"),
        (b'{"id": "z", "x": NaN}', "NaN"),
        (b'{"id": "z", "x": -1e400}', "beyond float64"),
        (b'{"id": "\xff"}', "utf-8"),
        (b"[" * 50_000, "nested too deeply"),
        (b"[1]", "list"),
        (b'{"ID": "z"}', "None"),
        (b'{"id": 7}', "7"),
        (b'{"id": ""}', "''"),
        (b'{"id": "a"}', "line 1"),
    ],
)
def test_any_other_bad_line_is_located(tmp_path: Path, line: bytes, found: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"id": "a"}\n' + line + b'\n{"id": "b"}\n')
    for read in (Table(path).rows, Table(path).ids, lambda: Table(path).append([{"id": "c"}])):
        with pytest.raises(DataError) as caught:
            read()
        assert caught.value.where == f"{path}:2"
        assert found in str(caught.value)
    assert path.read_bytes().endswith(b'{"id": "b"}\n')


@pytest.mark.parametrize("line", [b'{"id": "z", "x": NaN}', b'{"id": "\xff"}', b"[1]", b'{"id": "a"}'])
def test_a_finished_last_line_is_not_excused(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"id": "a"}\n' + line + b"\n")
    with pytest.raises(DataError, match=r"x\.jsonl:2"):
        Table(path).rows()


def test_a_repeated_id_names_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"id": "a"}\n{"id": "b"}\n{"id": "a"}\n')
    with pytest.raises(DataError) as caught:
        Table(path).rows()
    assert caught.value.where == f"{path}:3"
    assert "line 1" in str(caught.value)


def test_appending_a_known_id_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    table = Table(path)
    table.append([{"id": "a"}])
    whole = path.read_bytes()
    for rows in ([{"id": "b"}, {"id": "a"}], [{"id": "b"}, {"id": "b"}]):
        with pytest.raises(DataError, match="twice"):
            table.append(rows)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "row", [{"id": "b", "x": math.nan}, {"id": "b", "x": Path("x")}, {"x": 1}, {"id": None}]
)
def test_a_row_that_cannot_be_kept_writes_nothing(tmp_path: Path, row: dict[str, Any]) -> None:
    table = Table(tmp_path / "x.jsonl")
    with pytest.raises(DataError):
        table.append([{"id": "a"}, row])
    assert table.rows() == []


def test_sees_what_others_append(tmp_path: Path) -> None:
    one, two = Table(tmp_path / "x"), Table(tmp_path / "x")
    one.append([{"id": "a"}])
    two.append([{"id": "b"}])
    with pytest.raises(DataError, match="twice"):
        one.append([{"id": "b"}])
    one.append([{"id": "c"}])
    assert two.ids() == {"a", "b", "c"}


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(FileError):
        Table(tmp_path).rows()
    with pytest.raises(FileError):
        Table(tmp_path).append([{"id": "a"}])


def test_a_hundred_thousand_rows(tmp_path: Path) -> None:
    table = Table(tmp_path / "x.jsonl")
    rows = [
        {"id": f"{number:016x}", "text": "some answer " * 10, "score": number / 7}
        for number in range(100_000)
    ]
    start = time.process_time()
    for begin in range(0, len(rows), 10_000):
        table.append(rows[begin : begin + 10_000])
    assert len(table.ids()) == 100_000
    assert Table(table.path).rows() == rows
    assert time.process_time() - start < 15, "about 2 s of processor time on the slowest machine seen"


@pytest.mark.fault
@pytest.mark.parametrize("room", [0, 1, 30, 99])
def test_a_full_disk_keeps_the_whole_rows(
    tmp_path: Path, full_disk: Callable[[int], None], room: int
) -> None:
    path = tmp_path / "x.jsonl"
    table = Table(path)
    table.append([{"id": "a"}])
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id": "torn')
    full_disk(room)
    with pytest.raises(DiskFullError) as caught:
        table.append([{"id": f"n{number}", "text": "x" * 10} for number in range(10)])
    assert caught.value.where == str(path)
    assert path.read_bytes() == whole
    full_disk(1000)
    table.append([{"id": "b"}])
    assert table.ids() == {"a", "b"}


@pytest.mark.fault
def test_a_failed_sync_takes_the_rows_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(tmp_path / "x.jsonl")
    table.append([{"id": "a"}])
    with monkeypatch.context() as patch:

        def broken(fd: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        patch.setattr(os, "fsync", broken)
        with pytest.raises(FileError, match="cannot append"):
            table.append([{"id": "b"}])
    assert table.ids() == Table(table.path).ids() == {"a"}


@pytest.mark.fault
def test_a_really_full_disk(small_disk: Path) -> None:
    table = Table(small_disk / "x.jsonl")
    table.append([{"id": "a", "text": "x" * 1000}])
    with pytest.raises(DiskFullError, match="bytes free"):
        table.append([{"id": f"n{number}", "text": "x" * 1000} for number in range(100)])
    assert table.ids() == {"a"}
    table.append([{"id": "b"}])
    assert Table(table.path).ids() == {"a", "b"}


KILLED_APPENDER = """
from axenic.files import Table
def work(path):
    table = Table(path)
    for n in range(len(table.ids()), 10**9, 5):
        table.append([{"id": str(m), "text": str(m % 10) * 30_000} for m in range(n, n + 5)])
"""


@pytest.mark.fault
def test_kill_at_any_instant(quick_folder: Path, kills: Callable[[str, Path, int], Iterator[int]]) -> None:
    path = quick_folder / "x.jsonl"
    for _ in kills(KILLED_APPENDER, path, 40):
        rows = Table(path).rows()
        assert [row["id"] for row in rows] == [str(number) for number in range(len(rows))]
        assert all(row["text"] == str(number % 10) * 30_000 for number, row in enumerate(rows))
    assert rows, "no child ever got to write"


PARALLEL_APPENDER = """
import sys
from axenic.files import Table
path, name = sys.argv[1:]
for n in range(60):
    Table(path).append([{"id": f"{name}-{n}", "text": "x" * 5000}])
"""


@pytest.mark.fault
def test_two_processes_do_not_mix_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    children = [
        subprocess.Popen([sys.executable, "-c", PARALLEL_APPENDER, str(path), name])
        for name in ("a", "b", "c")
    ]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert Table(path).ids() == {f"{name}-{number}" for name in "abc" for number in range(60)}
    assert all(json.loads(line) for line in path.read_bytes().splitlines())
