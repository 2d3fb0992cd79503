"""A local server that writes pairs as a pure function of the prompt, and fails by plan."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from local_server import JsonHandler, LocalServer, Plan, serving

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


class FakeWriter(LocalServer):
    """The server; its plan is asked about prompts."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, _Handler)


class _Handler(JsonHandler):
    server: FakeWriter

    def do_POST(self) -> None:
        body = self.body()
        prompt = body["messages"][0]["content"]
        with self.server.lock:
            attempt = self.server.counted(body, prompt)
        time.sleep(self.server.latency_s)
        fault = self.server.plan(prompt, attempt)
        if fault in ("429", "500", "400", "401"):
            code = "content_policy_violation" if fault == "400" else "busy"
            self.write(int(fault), {"error": {"message": "not now: content policy", "code": code}})
            return
        message = {"role": "assistant", "content": text_of(fault, prompt), "refusal": None}
        if fault == "refusal":
            message |= {"content": None, "refusal": "I can't."}
        finish = "length" if fault == "cut" else "stop"
        usage = {"prompt_tokens": 100, "completion_tokens": 200}
        choice = {"index": 0, "finish_reason": finish, "message": message}
        self.write(200, {"id": "x", "object": "chat.completion", "model": "w-1", "usage": usage, "choices": [choice]},
                   torn=fault == "torn")  # fmt: skip

    def write(self, status: int, body: dict[str, Any], torn: bool = False) -> None:
        raw = json.dumps(body).encode()
        self.send(status, raw[: len(raw) // 2] if torn else raw)


def fake_writer(plan: Plan = lambda prompt, attempt: None) -> AbstractContextManager[FakeWriter]:
    """Run a server for the length of the block."""
    return serving(FakeWriter(plan))
