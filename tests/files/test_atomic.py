"""atomic_write and atomic_folder: whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from axenic.errors import DiskFullError, FileError
from axenic.files import atomic_folder, atomic_write, is_temporary, remove_leftovers

pytestmark = pytest.mark.unit


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_text_as_utf8_and_creates_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.txt"
    atomic_write(path, "é\r\nü")
    assert path.read_bytes() == "é\r\nü".encode()
    assert names(path.parent) == ["x.txt"]


def test_replaces_and_takes_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "x"
    atomic_write(path, b"old")
    atomic_write(path, b"")
    assert path.read_bytes() == b""
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:3]))
    atomic_write(tmp_path / "x", b"0123456789")
    assert (tmp_path / "x").read_bytes() == b"0123456789"


def test_a_folder_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(FileError, match="cannot write x"):
        atomic_write(tmp_path / "x", b"1")
    assert names(tmp_path) == ["x"]


def test_a_file_where_a_folder_must_be(tmp_path: Path) -> None:
    atomic_write(tmp_path / "x", b"1")
    with pytest.raises(FileError, match="cannot write y"):
        atomic_write(tmp_path / "x" / "y", b"1")


@pytest.mark.fault
@pytest.mark.parametrize("room", [0, 1, 999])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, full_disk: Callable[[int], None], room: int) -> None:
    path = tmp_path / "x"
    atomic_write(path, b"old")
    full_disk(room)
    with pytest.raises(DiskFullError) as caught:
        atomic_write(path, b"n" * 1000)
    assert caught.value.where == str(path)
    assert "1,000 bytes" in str(caught.value)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


@pytest.mark.fault
def test_another_disk_error_is_a_file_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(FileError, match="Input/output error") as caught:
        atomic_write(tmp_path / "x", b"1")
    assert not isinstance(caught.value, DiskFullError)
    assert names(tmp_path) == []


@pytest.mark.fault
def test_a_really_full_disk(small_disk: Path) -> None:
    atomic_write(small_disk / "x", b"old")
    with pytest.raises(DiskFullError, match="room for 1,000,000 bytes"):
        atomic_write(small_disk / "x", b"n" * 1_000_000)
    assert (small_disk / "x").read_bytes() == b"old"
    assert names(small_disk) == ["x"]


@pytest.mark.fault
def test_ctrl_c_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(fd: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "x", b"1")
    assert names(tmp_path) == []


KILLED_WRITER = """
from axenic.files import atomic_write
def work(path):
    for n in range(10**9):
        atomic_write(path, str(n % 10) * 200_000)
"""


@pytest.mark.fault
def test_kill_at_any_instant(quick_folder: Path, kills: Callable[[str, Path, int], Iterator[int]]) -> None:
    path = quick_folder / "x"
    for _ in kills(KILLED_WRITER, path, 50):
        if path.exists():
            data = path.read_bytes()
            assert len(data) == 200_000
            assert len(set(data)) == 1
        assert all(is_temporary(name) for name in names(quick_folder) if name != "x")
    remove_leftovers(quick_folder)
    assert set(names(quick_folder)) <= {"x"}


class TestFolder:
    def test_appears_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "runs" / "a"
        with atomic_folder(path) as folder:
            assert is_temporary(folder)
            atomic_write(folder / "deep" / "x", b"1")
            assert not path.exists()
        assert (path / "deep" / "x").read_bytes() == b"1"
        assert names(path.parent) == ["a"]

    def test_a_failure_leaves_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match="mine"), atomic_folder(tmp_path / "a") as folder:
            raise RuntimeError(f"mine in {folder}")
        assert names(tmp_path) == []

    def test_an_error_about_another_file_keeps_its_text(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError), atomic_folder(tmp_path / "a"):
            (tmp_path / "elsewhere").read_bytes()

    def test_a_full_disk_inside_the_block(self, tmp_path: Path) -> None:
        with pytest.raises(DiskFullError), atomic_folder(tmp_path / "a"):
            raise OSError(errno.ENOSPC, "full")
        assert names(tmp_path) == []

    def test_an_existing_folder_is_refused_before_the_work(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        with pytest.raises(FileError, match="exists already"), atomic_folder(tmp_path / "a"):
            pytest.fail("the block must not run")

    def test_replaces_when_told(self, tmp_path: Path) -> None:
        for text in ("old", "new"):
            with atomic_folder(tmp_path / "a", replace=True) as folder:
                (folder / text).write_text(text)
        assert names(tmp_path / "a") == ["new"]
        assert names(tmp_path) == ["a"]

    def test_the_old_one_survives_a_failure(self, tmp_path: Path) -> None:
        with atomic_folder(tmp_path / "a") as folder:
            (folder / "old").write_text("1")
        with pytest.raises(RuntimeError), atomic_folder(tmp_path / "a", replace=True):
            raise RuntimeError
        assert names(tmp_path / "a") == ["old"]

    def test_the_old_one_comes_back_when_the_last_rename_fails(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with atomic_folder(tmp_path / "a") as folder:
            (folder / "old").write_text("1")
        rename = os.rename

        def failing(source: Path, target: Path) -> None:
            if (Path(source) / "new").exists():
                raise OSError(errno.EIO, "broken")
            rename(source, target)

        monkeypatch.setattr(os, "rename", failing)
        with pytest.raises(FileError), atomic_folder(tmp_path / "a", replace=True) as folder:
            (folder / "new").touch()
        assert names(tmp_path / "a") == ["old"]
        assert names(tmp_path) == ["a"]


def test_leftovers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".axenic-0.tmp").mkdir()
    (tmp_path / ".axenic-0.tmp" / "x").write_text("1")
    (tmp_path / ".axenic-1.tmp").write_text("1")
    (tmp_path / "data.tmp").write_text("1")
    assert [path.name for path in remove_leftovers(tmp_path)] == [".axenic-0.tmp", ".axenic-1.tmp"]
    assert names(tmp_path) == ["data.tmp"]
