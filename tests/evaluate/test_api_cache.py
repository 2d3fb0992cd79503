"""Marks on disk: written once, read back, and never the failure of a call."""

from __future__ import annotations

from pathlib import Path

import pytest

from axenic.errors import DataError
from axenic.evaluate.api_cache import FLUSH, ApiCache, mark_key
from axenic.evaluate.score import Score, Unscored
from axenic.files import Table

pytestmark = pytest.mark.unit


def test_what_is_put_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "marks.jsonl"
    cache = ApiCache(path)
    cache.put("a", Score(12.5), {"judge": "m"})
    cache.put("b", Unscored("code", "said so"), {"judge": "m"})
    assert not path.exists()
    cache.flush()
    again = ApiCache(path)
    assert (again.get("a"), again.get("b"), again.get("c")) == (
        Score(12.5),
        Unscored("code", "said so"),
        None,
    )
    assert Table(path).rows()[0] == {"id": "a", "judge": "m", "score": 12.5}


def test_it_writes_by_itself_now_and_then(tmp_path: Path) -> None:
    cache = ApiCache(tmp_path / "marks.jsonl")
    for number in range(FLUSH + 1):
        cache.put(f"k{number}", Score(1), {})
    assert len(Table(tmp_path / "marks.jsonl").rows()) == FLUSH


def test_a_torn_last_line_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "marks.jsonl"
    path.write_text('{"id": "a", "score": 1}\n{"id": "b", "sco', encoding="utf-8")
    cache = ApiCache(path)
    assert cache.get("b") is None
    cache.put("b", Score(2), {})
    cache.flush()
    assert ApiCache(path).get("b") == Score(2)


def test_another_writer_of_the_same_mark_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "marks.jsonl"
    one, two = ApiCache(path), ApiCache(path)
    for cache in (one, two):
        cache.put("a", Score(3), {})
        cache.put(f"own{id(cache)}", Score(4), {})
    one.flush()
    two.flush()
    assert len(Table(path).rows()) == 3


def test_the_failure_of_a_call_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "marks.jsonl"
    with pytest.raises(DataError, match="not a mark"):
        ApiCache(path).put("a", Unscored("api", "500"), {})
    path.write_text('{"id": "a", "unscored": "api", "detail": ""}\n', encoding="utf-8")
    with pytest.raises(DataError) as caught:
        ApiCache(path)
    assert caught.value.where == f"{path}:1"


def test_keys_differ() -> None:
    keys = {
        mark_key(*parts) for parts in [("f", "q", "a"), ("g", "q", "a"), ("f", "qa", ""), ("f", "", "qa")]
    }
    assert len(keys) == 4
