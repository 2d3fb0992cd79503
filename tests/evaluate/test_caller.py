"""The way to a server, apart from what is asked: one result per job, and what `read` may say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from axenic.errors import DataError
from axenic.evaluate import Caller, Endpoint, Failure, JudgeError, Limits, Reply

from .fake_endpoint import FakeEndpoint, fake_endpoint

pytestmark = pytest.mark.fault


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEndpoint]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with fake_endpoint() as running:
        yield running


@pytest.fixture
def caller(server: FakeEndpoint) -> Iterator[Caller]:
    made = Caller(
        Endpoint(server.url, key_env=None, attempts=3, backoff_s=0.002, concurrency=4), Limits(requests=40)
    )
    yield made
    made.close()


def test_every_job_once_and_the_request_as_given(caller: Caller, server: FakeEndpoint) -> None:
    got: dict[int, str] = {}

    async def work(number: int) -> None:
        found = await caller.ask(
            f"prompt {number}", 7, {"model": "m", "seed": number}, lambda reply: reply.model
        )
        assert isinstance(found, str)
        got[number] = found

    caller.run(caller.each(range(10), work))
    assert got == dict.fromkeys(range(10), "fake-1")
    assert sorted(body["seed"] for body in server.requests) == list(range(10))
    assert all(body["max_tokens"] == 7 and body["model"] == "m" for body in server.requests)
    assert caller.budget.requests == 10


def test_a_reader_may_ask_again_give_up_or_stop_everything(caller: Caller, server: FakeEndpoint) -> None:
    def ask(read: Failure | DataError) -> Failure:
        def reader(reply: Reply) -> str | Failure:
            if isinstance(read, DataError):
                raise read
            return read

        found = caller.run(caller.ask("x", 1, {"model": "m"}, reader))
        assert isinstance(found, Failure)
        return found

    assert ask(Failure("odd")).detail == "3 attempts; the last: odd"
    assert len(server.requests) == 3
    assert ask(Failure("odd", again=False)).detail == "odd"
    assert len(server.requests) == 4
    with pytest.raises(DataError, match="stop"):
        ask(DataError("stop"))


def test_what_stops_all_work_lets_the_others_end(caller: Caller, server: FakeEndpoint) -> None:
    ended: list[int] = []

    async def work(number: int) -> None:
        if number == 2:
            raise DataError("that is enough")
        await caller.ask(f"prompt {number}", 1, {"model": "m"}, lambda reply: reply.model)
        ended.append(number)

    server.latency_s = 0.1
    with pytest.raises(DataError, match="enough"):
        caller.run(caller.each(range(100), work))
    assert len(ended) == len(server.requests) <= 4
    server.latency_s = 0.0
    with pytest.raises(JudgeError, match="budget of requests"):
        caller.run(caller.each(range(3, 100), work))
    assert caller.budget.requests == 40
