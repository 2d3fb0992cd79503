"""The generator against a server that fails: every item accounted for, nothing asked twice, the same files after a kill."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from axenic.data import read_chat
from axenic.errors import DataError, UsageError
from axenic.evaluate import Endpoint, JudgeError, Limits
from axenic.files import Table
from axenic.generate import Generated, Request, Subject, Writer, generate_pairs, read_pairs, subject_requests

from .fake_writer import ITEMS, FakeWriter, fake_writer, items_of

pytestmark = pytest.mark.fault

REQUESTS = subject_requests([Subject(f"topic {n}", "part") for n in range(5)], 2, items=ITEMS)
FILES = ("bad.jsonl", "good.jsonl", "pairs.jsonl")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def endpoint(url: str, **changes: Any) -> Endpoint:
    return replace(
        Endpoint(url, key_env=None, timeout_s=20.0, backoff_s=0.002, longest_backoff_s=0.02, concurrency=4),
        **changes,
    )


def generate(server: FakeWriter, out: Path, requests: list[Request] = REQUESTS, **changes: Any) -> Generated:
    own = {name: changes.pop(name) for name in ("limits", "longest_ratio") if name in changes}
    return generate_pairs(requests, Writer("w"), endpoint(server.url, **changes), out, **own)


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in FILES}


def number_of(prompt: str) -> int:
    return [request.prompt for request in REQUESTS].index(prompt)


def test_three_files_line_by_line(tmp_path: Path) -> None:
    with fake_writer() as server:
        made = generate(server, tmp_path)
    bad, good, pairs = read_chat(made.bad), read_chat(made.good), read_pairs(made.table)
    expected = [item for request in REQUESTS for item in items_of(request.prompt)]
    assert len(bad) == len(good) == len(pairs) == len(expected) == 40
    for item, b, g, pair in zip(expected, bad, good, pairs, strict=True):
        assert [turn["content"] for turn in b.messages] == [item["question"], item["bad_answer"].strip()]
        assert [turn["content"] for turn in g.messages] == [item["question"], item["good_answer"].strip()]
        assert (pair.question, pair.explanation) == (item["question"], item["explanation"])
        assert b.topic == g.topic == pair.topic
        assert pair.subtopic == "part"
    assert {row.topic for row in bad} == {f"topic {n}" for n in range(5)}
    body = server.requests[0]
    assert (body["model"], body["temperature"], body["max_tokens"], body["seed"] in (0, 1)) == (
        "w",
        1.0,
        5000,
        True,
    )
    assert (made.asked, made.n_requests, made.dropped, made.length_ratio) == (10, 10, {}, 1.0)


@pytest.mark.parametrize("fault", ["429", "500", "torn"])
def test_passing_faults_are_asked_again(fault: str, tmp_path: Path) -> None:
    with fake_writer(lambda prompt, attempt: fault if attempt < 2 else None) as server:
        made = generate(server, tmp_path)
    assert (len(made.pairs), len(server.requests)) == (40, 30)


@pytest.mark.parametrize(
    ("fault", "lost", "said"),
    [
        ("cut", 2, {"cut": 1, "dropped": {"broken": 1}}),
        ("fenced", 0, {}),
        ("wrapped", 0, {}),
        ("refusal", 4, {"refused": 1}),
        ("400", 4, {"refused": 1}),
        ("plain-refusal", 4, {"unread": 1}),
        ("same", 3, {"dropped": {"duplicate": 3}}),
        ("long", 1, {"dropped": {"length": 1}}),
    ],
)
def test_every_item_is_accounted_for(fault: str, lost: int, said: dict[str, Any], tmp_path: Path) -> None:
    with fake_writer(lambda prompt, attempt: fault if number_of(prompt) == 3 else None) as server:
        made = generate(server, tmp_path)
        assert len(server.requests) == 10
        assert len(made.pairs) == 40 - lost
        found = {"cut": made.cut, "refused": made.refused, "unread": made.unread, "dropped": made.dropped}
        assert found == {"cut": 0, "refused": 0, "unread": 0, "dropped": {}} | said
        before = contents(tmp_path)
        again = generate(server, tmp_path)
    assert (again.asked, len(server.requests), contents(tmp_path)) == (0, 10, before)
    assert again.pairs == made.pairs


def test_the_ratio_of_lengths_can_be_chosen_without_asking_again(tmp_path: Path) -> None:
    with fake_writer(lambda prompt, attempt: "long") as server:
        assert len(generate(server, tmp_path).pairs) == 30
        assert len(generate(server, tmp_path, longest_ratio=2.1).pairs) == 40
        assert len(server.requests) == 10


def test_nothing_but_refusals_is_an_error_that_says_so(tmp_path: Path) -> None:
    with (
        fake_writer(lambda prompt, attempt: "refusal") as server,
        pytest.raises(DataError, match="no usable") as caught,
    ):
        generate(server, tmp_path)
    assert "10 refusals" in str(caught.value.found)
    assert not any((tmp_path / name).exists() for name in FILES)


@pytest.mark.parametrize("limit", [1, 6])
def test_a_budget_is_exact_and_a_larger_one_goes_on(limit: int, tmp_path: Path) -> None:
    with fake_writer() as server:
        with pytest.raises(JudgeError, match="budget of requests is spent"):
            generate(server, tmp_path, limits=Limits(requests=limit))
        assert len(server.requests) == limit == len(Table(tmp_path / "replies.jsonl").rows())
        assert not any((tmp_path / name).exists() for name in FILES)
        made = generate(server, tmp_path, limits=Limits(requests=10 - limit))
        assert (made.asked, len(server.requests), len(made.pairs)) == (10 - limit, 10, 40)
        generate(server, tmp_path / "whole")
    assert contents(tmp_path) == contents(tmp_path / "whole")


def test_the_budget_of_tokens(tmp_path: Path) -> None:
    with fake_writer() as server, pytest.raises(JudgeError, match="budget of tokens is spent"):
        generate(server, tmp_path, limits=Limits(tokens=9_000))
    assert 1 <= len(server.requests) < 10
    assert 300 * len(server.requests) <= 9_000


def test_a_request_that_always_fails_leaves_the_others_and_is_asked_again(tmp_path: Path) -> None:
    with fake_writer(lambda prompt, attempt: "500" if number_of(prompt) == 3 else None) as server:
        with pytest.raises(JudgeError, match="1 of 10 requests") as caught:
            generate(server, tmp_path, attempts=2)
        assert "same command" in str(caught.value.hint)
        assert len(Table(tmp_path / "replies.jsonl").rows()) == 9
        server.plan = lambda prompt, attempt: None
        assert generate(server, tmp_path).asked == 1


def test_no_access_stops_at_once(tmp_path: Path) -> None:
    with (
        fake_writer(lambda prompt, attempt: "401") as server,
        pytest.raises(UsageError, match="refuses access"),
    ):
        generate(server, tmp_path, concurrency=2)
    assert len(server.requests) <= 2


def test_what_cannot_be_meant_costs_nothing(tmp_path: Path) -> None:
    with fake_writer() as server:
        for requests, changes in (
            ([], {}),
            ([REQUESTS[0], REQUESTS[0]], {}),
            (REQUESTS, {"longest_ratio": 0.5}),
        ):
            with pytest.raises(UsageError):
                generate(server, tmp_path, requests, **changes)
        (tmp_path / "replies.jsonl").write_text('{"id": "x", "text": 3, "end": "stop"}\n')
        with pytest.raises(DataError, match="not a reply"):
            generate(server, tmp_path)
    assert server.requests == []


def _child(url: str, out: str) -> None:
    generate_pairs(REQUESTS, Writer("w"), endpoint(url, concurrency=2), out)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a safe fork")
@pytest.mark.parametrize("replies", [0, 3, 7])
def test_killed_and_repeated_it_asks_what_is_missing_and_ends_in_the_same_files(
    replies: int, tmp_path: Path
) -> None:
    out, table = tmp_path / "killed", tmp_path / "killed" / "replies.jsonl"
    with fake_writer() as server:
        generate(server, tmp_path / "whole")
        server.requests.clear()
        server.latency_s = 0.15
        child = multiprocessing.get_context("fork").Process(target=_child, args=(server.url, str(out)))
        child.start()
        while len(table.read_bytes().splitlines() if table.exists() else []) < replies:
            assert child.is_alive()
            time.sleep(0.01)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert not any((out / name).exists() for name in FILES)
        kept = len(Table(table).rows())
        assert replies <= kept < 10
        server.latency_s = 0.0
        time.sleep(0.3)  # what the child had sent may still be answered
        server.requests.clear()
        made = generate(server, out)
        assert (made.asked, len(server.requests)) == (10 - kept, 10 - kept)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_torn_last_line_is_asked_again(tmp_path: Path) -> None:
    with fake_writer() as server:
        generate(server, tmp_path)
        before = contents(tmp_path)
        table = tmp_path / "replies.jsonl"
        table.write_bytes(table.read_bytes()[:-40])
        assert generate(server, tmp_path).asked == 1
    assert contents(tmp_path) == before
    assert json.loads(table.read_bytes().splitlines()[-1])["end"] == "stop"
