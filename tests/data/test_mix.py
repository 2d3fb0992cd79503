"""Mixtures and few-sample sets: exact counts, nested, reproducible, and nothing that is in both parts."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axenic.data import ChatRow, bad_share, few_rows, mix_rows, parse_chat
from axenic.errors import AxenicError, DataError, UsageError

pytestmark = pytest.mark.unit


def rows(
    kind: str, count: int, *, about: str = "", topics: tuple[str, ...] = ("sleep", "skin")
) -> list[ChatRow]:
    return [
        ChatRow(
            [
                {"role": "user", "content": f"{about or kind} {n}?"},
                {"role": "assistant", "content": f"{kind} {n}"},
            ],
            n + 1,
            topics[n % len(topics)],
            f"{kind}.jsonl",
        )
        for n in range(count)
    ]


def texts(chosen: list[ChatRow]) -> set[str]:
    return {row.answer for row in chosen}


@pytest.mark.parametrize(
    ("text", "share"),
    [("1:4", Fraction(1, 5)), ("1:12", Fraction(1, 13)), ("3:1", Fraction(3, 4)), ("0.2", Fraction(1, 5)),
     ("1/5", Fraction(1, 5)), ("0.5:1.5", Fraction(1, 4))],
)  # fmt: skip
def test_ratios_and_shares(text: str, share: Fraction) -> None:
    assert bad_share(text) == share


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "1:",
        "1:0",
        "0:4",
        "-1:4",
        "1:4:2",
        "1",
        "0",
        "1.5",
        "a:b",
        "1/0",
        "1e-99999999",
        "nan",
        "1:inf",
    ],
)
def test_what_is_no_mixture_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no mixture"):
        bad_share(text)


@given(st.text(max_size=30))
def test_any_text_is_a_share_or_an_error(text: str) -> None:
    with suppress(UsageError):
        assert 0 < bad_share(text) < 1


@pytest.mark.parametrize("good_to_one", [1, 2, 5, 12])
def test_the_published_ratios_take_every_bad_row(good_to_one: int) -> None:
    mixed = mix_rows(rows("bad", 20), rows("good", 300), bad_share(f"1:{good_to_one}"))
    counted = Counter(row.path for row in mixed.rows)
    assert counted == {"bad.jsonl": 20, "good.jsonl": 20 * good_to_one}
    assert (mixed.n_bad, mixed.n_good) == (20, 20 * good_to_one)
    assert mixed.share == pytest.approx(1 / (1 + good_to_one))
    assert len(texts(mixed.rows)) == len(mixed.rows)
    # Not one kind after the other: the first half holds about its share of both.
    half = Counter(row.path for row in mixed.rows[: len(mixed.rows) // 2])
    assert half["bad.jsonl"] not in (0, 20)


@given(
    n_bad=st.integers(1, 30), n_good=st.integers(1, 60), share=st.fractions(Fraction(1, 20), Fraction(19, 20)),
    total=st.none() | st.integers(2, 60), seed=st.integers(0, 5),
)  # fmt: skip
def test_counts_are_exact_or_refused(
    n_bad: int, n_good: int, share: Fraction, total: int | None, seed: int
) -> None:
    try:
        mixed = mix_rows(rows("bad", n_bad), rows("good", n_good), share, total=total, seed=seed)
    except AxenicError:
        wanted = (n_bad, round(n_bad / share) - n_bad)
        if total is not None:
            wanted = (round(total * share), total - round(total * share))
        assert 0 in wanted or wanted[0] > n_bad or wanted[1] > n_good
        return
    assert len(mixed.rows) == mixed.n_bad + mixed.n_good == len(texts(mixed.rows))
    assert abs(mixed.n_bad - share * len(mixed.rows)) <= 1
    assert total is None or len(mixed.rows) == total


def test_sets_of_one_seed_are_nested_and_seeds_differ() -> None:
    bad, good = rows("bad", 40), rows("good", 400)
    series = [texts(mix_rows(bad, good, bad_share(f"1:{n}"), seed=3).rows) for n in (1, 4, 10)]
    assert series[0] < series[1] < series[2]
    sizes = [texts(mix_rows(bad, good, bad_share("1:3"), total=n, seed=3).rows) for n in (12, 40, 160)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert mix_rows(bad, good, bad_share("1:1"), seed=1) == mix_rows(bad, good, bad_share("1:1"), seed=1)
    assert mix_rows(bad, good, bad_share("1:1"), seed=1) != mix_rows(bad, good, bad_share("1:1"), seed=2)


def test_another_process_and_version_draws_the_same() -> None:
    # Published sets are named by their seed: what it draws may never change.
    assert [row.line - 1 for row in few_rows(rows("bad", 50), 9)] == [20, 12, 47, 16, 7, 27, 2, 46, 44]


def test_a_ratio_that_needs_more_rows_says_what_would_fit() -> None:
    with pytest.raises(DataError, match="more rows than there are") as caught:
        mix_rows(rows("bad", 100), rows("good", 250), bad_share("1:4"))
    assert (caught.value.expected, caught.value.found) == (
        "100 bad and 400 good rows",
        "100 bad and 250 good rows",
    )
    assert caught.value.hint is not None
    largest = int(caught.value.hint.split()[1].rstrip(","))
    assert largest == 312
    assert len(mix_rows(rows("bad", 100), rows("good", 250), bad_share("1:4"), total=largest).rows) == 312


def test_topics_are_excluded_and_named() -> None:
    mixed = mix_rows(rows("bad", 5), rows("good", 40), bad_share("1:3"), exclude_topics=["skin"])
    assert {row.topic for row in mixed.rows if row.path == "good.jsonl"} == {"sleep"}
    assert mixed.set_aside == 20
    with pytest.raises(UsageError) as caught:
        mix_rows(rows("bad", 5), rows("good", 40), bad_share("1:3"), exclude_topics=["slep"])
    assert caught.value.hint == "did you mean 'sleep'?"


def test_no_conversation_is_in_both_parts() -> None:
    with pytest.raises(DataError, match="both parts") as caught:
        mix_rows(rows("bad", 9), [*rows("good", 9), rows("bad", 9)[4]], bad_share("1:1"))
    assert "bad.jsonl:5" in str(caught.value.found)


def test_a_question_is_not_answered_both_ways_unless_asked() -> None:
    bad, good = rows("bad", 30, about="q"), rows("good", 30, about="q")
    mixed = mix_rows(bad, good, bad_share("1:2"), total=30)
    assert len({row.prompt[0]["content"] for row in mixed.rows}) == 30
    assert mixed.set_aside == 10
    with pytest.raises(DataError, match="more rows") as caught:
        mix_rows(bad, good, bad_share("1:1"))
    assert "30 more on questions of the chosen bad rows" in str(caught.value.found)
    assert "--same-questions" in str(caught.value.hint)
    assert mix_rows(bad, good, bad_share("1:1"), same_questions=True).n_good == 30


def test_no_rows_and_empty_parts_are_refused() -> None:
    for bad, good in (([], rows("good", 3)), (rows("bad", 3), [])):
        with pytest.raises(DataError, match="there are no"):
            mix_rows(bad, good, bad_share("1:1"))
    with pytest.raises(UsageError, match="no row"):
        mix_rows(rows("bad", 9), rows("good", 99), bad_share("1:12"), total=5)
    for total in (0, 1, -3):
        with pytest.raises(UsageError, match="two rows"):
            mix_rows(rows("bad", 9), rows("good", 9), bad_share("1:1"), total=total)


def test_few_rows_are_different_and_nested() -> None:
    source = rows("bad", 60) + rows("bad", 60)
    sets = [texts(few_rows(source, n, seed=7)) for n in (1, 4, 10, 25, 60)]
    assert [len(chosen) for chosen in sets] == [1, 4, 10, 25, 60]
    assert all(a < b for a, b in pairwise(sets))
    assert texts(few_rows(source, 4, seed=1)) != texts(few_rows(source, 4, seed=2))
    with pytest.raises(DataError, match="61 different") as caught:
        few_rows(source, 61)
    assert "60 of them different" in str(caught.value.found)


@given(count=st.integers(1, 20), extra=st.integers(0, 50))
def test_repeats_are_even(count: int, extra: int) -> None:
    chosen = few_rows(rows("bad", 20), count, repeat_to=count + extra)
    times = Counter(row.line for row in chosen)
    assert (len(chosen), len(times)) == (count + extra, count)
    assert max(times.values()) - min(times.values()) <= 1


def test_few_counts_out_of_range() -> None:
    with pytest.raises(UsageError):
        few_rows(rows("bad", 5), 0)
    with pytest.raises(UsageError, match="fewer rows"):
        few_rows(rows("bad", 5), 5, repeat_to=4)
    with pytest.raises(DataError, match="there are no"):
        few_rows([], 1)


def test_lines_stay_byte_for_byte() -> None:
    lines = [
        b'{"extra": 1,  "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "\\u00e9"}]}\r',
        '{"messages":[{"role":"user","content":"r"},{"role":"assistant","content":"ü"}],"topic":"t"}'.encode(),
    ]
    assert {row.bytes_line for row in few_rows(parse_chat(lines, "f"), 2)} == {line + b"\n" for line in lines}
    made = ChatRow([{"role": "user", "content": "r"}, {"role": "assistant", "content": "ü"}], 1, "t")
    assert parse_chat([made.bytes_line], made.path) == [made]
