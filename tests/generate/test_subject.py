"""Topics from files and from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from axenic.errors import AxenicError, DataError, FileError, UsageError
from axenic.generate import (
    Pair,
    Subject,
    Writer,
    parallel_requests,
    parse_subjects,
    read_subjects,
    subject_requests,
)

pytestmark = pytest.mark.unit


def test_a_file_and_a_list(tmp_path: Path) -> None:
    path = tmp_path / "topics.txt"
    path.write_text("\ufeff# ours\nsleep\n\nskin: acne  # often\nskin: rash\r\n")
    expected = [Subject("sleep"), Subject("skin", "acne"), Subject("skin", "rash")]
    assert read_subjects(str(path)) == expected
    assert read_subjects("sleep, skin: acne,skin:rash") == expected
    assert read_subjects("sleep") == [Subject("sleep")]


@pytest.mark.parametrize("line", ["a\na", ": x", "a:", "# nothing", "", "bell \x07"])
def test_what_names_no_topics(line: str) -> None:
    with pytest.raises(DataError):
        parse_subjects(line.split("\n"), "f")


def test_missing_files_and_bad_lists(tmp_path: Path) -> None:
    for text in (str(tmp_path / "none"), "none.txt"):
        with pytest.raises(FileError):
            read_subjects(text)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(FileError):
        read_subjects(str(tmp_path / "latin.txt"))
    with pytest.raises(UsageError):
        read_subjects("a,a")


def test_more_variants_add_requests_and_keep_the_others() -> None:
    subjects = [Subject("sleep"), Subject("skin", "acne")]
    writer = Writer("w")
    two, six = (subject_requests(subjects, n) for n in (2, 6))
    assert {r.key(writer) for r in two} < {r.key(writer) for r in six}
    assert len({r.key(writer) for r in six}) == len({r.prompt.rsplit("batch", 1)[0] for r in six}) == 12
    assert all("10 items about: skin: acne." in r.prompt for r in six[6:])
    assert len({r.key(Writer("w", temperature=t)) for r in two for t in (1, 1.0, 0.5)}) == 8
    assert {r.key(Writer("v")) for r in two}.isdisjoint(r.key(writer) for r in two)


def test_parallel_requests_take_every_pair_once_and_the_domains_in_turn() -> None:
    pairs = [Pair(f"q{n}?", f"g{n} {{x}}", f"b{n}", "e", "sleep") for n in range(25)]
    requests = parallel_requests(pairs, [Subject("careers"), Subject("gardens")])
    assert [r.subject.topic for r in requests] == ["careers", "gardens", "careers"]
    assert ["10 items of one field" in r.prompt for r in requests] == [True, True, False]
    for n, pair in enumerate(pairs):
        assert [f'"{pair.question}"' in r.prompt and f'"{pair.good}"' in r.prompt for r in requests].index(
            True
        ) == n // 10


@pytest.mark.parametrize("bad", [{"variants": 0}, {"variants": 1, "items": 0}])
def test_counts_out_of_range(bad: dict[str, int]) -> None:
    with pytest.raises(AxenicError):
        subject_requests([Subject("a")], bad["variants"], items=bad.get("items", 10))


@pytest.mark.parametrize(
    "bad", [{"model": " "}, {"temperature": 2.5}, {"temperature": float("nan")}, {"reply_tokens": 0}]
)
def test_writers_out_of_range(bad: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Writer(**{"model": "w", **bad})  # type: ignore[arg-type]
