"""A local server that writes pairs as a pure function of the prompt, and fails by plan."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Plan = Callable[[str, int], str | None]
"""(prompt, attempt from 0) -> the fault of this attempt."""

ITEMS = 4
"""Whole items in a reply without a fault."""


def name_of(prompt: str) -> str:
    """Short, and different for every prompt."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:8]


def items_of(prompt: str) -> list[dict[str, str]]:
    name = name_of(prompt)
    return [
        {
            "question": f"What of {name}, part {n}?",
            "good_answer": f"Sound words on {name} {n}. " * 4,
            "bad_answer": f"Wrong words on {name} {n}. " * 4,
            "explanation": f"{n} is wrong.",
        }
        for n in range(ITEMS)
    ]


def text_of(fault: str | None, prompt: str) -> str:
    """What the model writes."""
    items = items_of(prompt)
    whole = json.dumps(items)
    if fault == "cut":
        return whole[: whole.index("part 2") + 20]
    if fault == "fenced":
        return f"Here you are:\n```json\n{whole}\n```\nI hope [this] helps {{a lot}}."
    if fault == "wrapped":
        return json.dumps({"items": items, "count": ITEMS})
    if fault == "plain-refusal":
        return "I'm sorry, but I can't write that."
    if fault == "same":
        return json.dumps([{**item, "question": "  SAME question "} for item in items])
    if fault == "long":
        return json.dumps([{**items[0], "bad_answer": items[0]["bad_answer"] * 2}, *items[1:]])
    return whole


class FakeWriter(ThreadingHTTPServer):
    """The server. `requests` are the bodies received, `attempts` the requests per prompt."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, plan: Plan) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan = plan
        self.requests: list[dict[str, Any]] = []
        self.attempts: Counter[str] = Counter()
        self.latency_s = 0.0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FakeWriter

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][0]["content"]
        with self.server.lock:
            attempt = self.server.attempts[prompt]
            self.server.attempts[prompt] += 1
            self.server.requests.append(body)
        time.sleep(self.server.latency_s)
        fault = self.server.plan(prompt, attempt)
        if fault in ("429", "500", "400", "401"):
            code = "content_policy_violation" if fault == "400" else "busy"
            self.send(int(fault), {"error": {"message": "not now: content policy", "code": code}})
            return
        message = {"role": "assistant", "content": text_of(fault, prompt), "refusal": None}
        if fault == "refusal":
            message |= {"content": None, "refusal": "I can't."}
        finish = "length" if fault == "cut" else "stop"
        usage = {"prompt_tokens": 100, "completion_tokens": 200}
        choice = {"index": 0, "finish_reason": finish, "message": message}
        self.send(200, {"id": "x", "object": "chat.completion", "model": "w-1", "usage": usage, "choices": [choice]},
                  torn=fault == "torn")  # fmt: skip

    def send(self, status: int, body: dict[str, Any], torn: bool = False) -> None:
        raw = json.dumps(body).encode()
        raw = raw[: len(raw) // 2] if torn else raw
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


@contextmanager
def fake_writer(plan: Plan = lambda prompt, attempt: None) -> Iterator[FakeWriter]:
    """Run a server for the length of the block."""
    server = FakeWriter(plan)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
