"""JSON text: canonical, strict, located."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axenic.errors import DataError, FileError
from axenic.files import canonical_json, parse_json, read_json, write_json

pytestmark = pytest.mark.unit

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_round_trip(value: object) -> None:
    text = canonical_json(value)
    assert parse_json(text.encode("utf-8")) == value
    assert canonical_json(parse_json(text.encode("utf-8"))) == text


@given(st.dictionaries(st.text(), SCALARS, min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert canonical_json(value) == canonical_json(dict(reversed(value.items())))


def test_no_spaces_and_sorted() -> None:
    assert canonical_json({"b": [1, 2.5], "a": "é"}) == '{"a":"é","b":[1,2.5]}'


def test_a_lone_surrogate_survives() -> None:
    text = canonical_json("a\ud800b")
    assert text == '"a\\ud800b"'
    assert parse_json(text.encode("utf-8")) == "a\ud800b"


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, [-math.inf], {"a": {"b": math.nan}}, Path("x"), {1, 2}, {1: 0, "1": 0}]
)
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="cannot be written as JSON"):
        canonical_json(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(DataError):
        canonical_json(value)


@pytest.mark.parametrize(
    "raw",
    [
        b"NaN", b"[Infinity]", b"-Infinity", b"1e999", b"", b"{", b"[1] 2", b"{'a': 1}",
        b"\xff", b"\xef\xbb\xbf{}", b"[" * 100_000, b"1" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_json_is_not_read(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(raw)


def test_files_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"b": 1, "a": [1.5, None]})
    assert path.read_text() == '{\n  "a": [\n    1.5,\n    null\n  ],\n  "b": 1\n}\n'
    assert read_json(path) == {"b": 1, "a": [1.5, None]}


def test_a_bad_value_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, 1)
    with pytest.raises(DataError) as caught:
        write_json(path, {"a": math.nan})
    assert caught.value.where == str(path)
    assert read_json(path) == 1


def test_errors_say_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": 1,\n "b" 2}')
    with pytest.raises(FileError, match="is not JSON") as caught:
        read_json(path)
    assert caught.value.where == f"{path}:2:6"


@pytest.mark.parametrize("raw", [b"\xff", b'{"a": NaN}', b"[" * 100_000])
def test_other_bad_files_are_named(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(raw)
    with pytest.raises(FileError, match=r"x\.json is not JSON"):
        read_json(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"cannot read x\.json"):
        read_json(tmp_path / "x.json")


def test_python_reads_what_is_written() -> None:
    assert json.loads(canonical_json({"ü": "\u2028"})) == {"ü": "\u2028"}
