"""A local server that counts what it is asked and fails by plan: what the fake judge and the fake writer share."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

Plan = Callable[[str, int], str | None]
"""(what was asked, attempt from 0) -> the fault of this attempt."""


class LocalServer(ThreadingHTTPServer):
    """A server on a free port of this machine.

    Attributes:
        plan: Which request fails, and how.
        requests: Bodies received, in order.
        attempts: Requests per key of `counted`.
        latency_s: Seconds before every reply.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, plan: Plan, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.plan = plan
        self.requests: list[dict[str, Any]] = []
        self.attempts: Counter[str] = Counter()
        self.latency_s = 0.0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def counted(self, body: dict[str, Any], key: str) -> int:
        """Remember a request; returns how often the same key was asked before. Call with `lock` held."""
        attempt = self.attempts[key]
        self.attempts[key] += 1
        self.requests.append(body)
        return attempt

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is part of the game."""


class JsonHandler(BaseHTTPRequestHandler):
    """Reads one JSON body and answers with bytes of JSON; says nothing on the terminal."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return found

    def head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        """Status line and headers of a reply that says it is `length` bytes long."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def send(self, status: int, raw: bytes, headers: Mapping[str, str] | None = None) -> None:
        """The whole reply."""
        self.head(status, len(raw), headers or {})
        self.wfile.write(raw)


Served = TypeVar("Served", bound=LocalServer)


@contextmanager
def serving(server: Served) -> Iterator[Served]:
    """Run a server for the length of the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
