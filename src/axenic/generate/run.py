"""Ask a writer for pairs, keep every reply, and make the files from the replies: killed and repeated, the same files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axenic.data import write_chat
from axenic.errors import DataError, UsageError
from axenic.evaluate import Caller, Endpoint, Failure, JudgeError, Limits, Reply, sendable
from axenic.files import Table, atomic_write
from axenic.generate.items import read_items
from axenic.generate.pair import Pair, chat_row
from axenic.generate.requests import Request
from axenic.generate.selection import LONGEST_RATIO, select_pairs
from axenic.generate.writer import Writer
from axenic.progress import Progress, silent


@dataclass(frozen=True)
class Generated:
    """What came of it.

    Args:
        pairs: Kept, in the order of the requests.
        dropped: Why items were not kept -> how many: `broken`, `duplicate`, `same answers`, `length`.
        refused: Replies that were refusals or were filtered.
        unread: Other replies without a single item.
        cut: Replies that hit the limit of reply tokens.
        n_requests: Requests in all.
        asked: How many of them were asked now; the others' replies were there.
        length_ratio: Mean of bad over good length.
        used: What was spent now, in words.
        bad, good, table: The three files.
    """

    pairs: tuple[Pair, ...]
    dropped: Mapping[str, int]
    refused: int
    unread: int
    cut: int
    n_requests: int
    asked: int
    length_ratio: float
    used: str
    bad: Path
    good: Path
    table: Path


def generate_pairs(
    requests: Sequence[Request],
    writer: Writer,
    endpoint: Endpoint,
    out: str | Path,
    *,
    limits: Limits = Limits(),
    longest_ratio: float = LONGEST_RATIO,
    progress: Progress = silent,
) -> Generated:
    """Ask what has not been answered yet, then write `bad.jsonl`, `good.jsonl` (formats F1) and `pairs.jsonl`.

    Every reply goes to `replies.jsonl` in the same folder when it comes, keyed by its request. The three files are made
    from it in the order of the requests, line n of each about the same question; they are written once all requests
    have a reply, so a kill leaves no half set and costs only the requests that were under way.

    Args:
        requests: See `subject_requests` and `parallel_requests`.
        out: Folder; made if missing.
        limits: Budget of this call, retries included.
        longest_ratio: See `select_pairs`.
        progress: Called with the stage `generate`.

    Raises:
        JudgeError: The endpoint cannot be used any more, the budget is spent, or some requests failed at every attempt.
            All replies that came are kept.
        UsageError: No access, no such model, no key, or requests that are equal.
        DataError: No usable pair came at all, or the table of replies is damaged.
    """
    if not requests:
        raise UsageError("there is nothing to ask", expected="at least one request")
    keyed = {request.key(writer): request for request in requests}
    if len(keyed) != len(requests):
        raise UsageError(
            "two requests are equal", expected="each request once", found=f"{len(keyed)} different"
        )
    select_pairs((), longest_ratio)  # refuse a ratio that cannot be meant before anything is paid for
    out = Path(out)
    table = Table(out / "replies.jsonl")
    replies = _known(table, keyed)
    todo = [key for key in keyed if key not in replies]
    used = "0 requests, 0 tokens"
    if todo:
        used = _ask(todo, keyed, writer, endpoint, limits, table, replies, progress)
    read = {key: read_items(replies[key]["text"]) for key in keyed}
    pairs = [
        Pair(item["question"], item["good_answer"], item["bad_answer"], item["explanation"],
             keyed[key].subject.topic, keyed[key].subject.subtopic)
        for key, items in read.items() for item in items.whole
    ]  # fmt: skip
    selected = select_pairs(pairs, longest_ratio)
    ends = [replies[key]["end"] for key in keyed]
    empty = [key for key, items in read.items() if not items.whole]
    if not selected.pairs:
        raise DataError(
            "no usable pair came back",
            where=table.path,
            expected=f"JSON lists of items in {len(keyed)} replies",
            found=f"{ends.count('refusal')} refusals, {len(empty)} replies without an item, dropped: "
            + (", ".join(f"{count} {reason}" for reason, count in selected.dropped.items()) or "nothing"),
            hint=f"head -n 1 {table.path}   # shows a reply; then another model, more --reply-tokens or a larger ratio",
        )
    files = out / "bad.jsonl", out / "good.jsonl", out / "pairs.jsonl"
    write_chat(files[0], [chat_row(pair, "bad") for pair in selected.pairs])
    write_chat(files[1], [chat_row(pair, "good") for pair in selected.pairs])
    atomic_write(
        files[2], "".join(json.dumps(pair.to_json(), ensure_ascii=False) + "\n" for pair in selected.pairs)
    )
    broken = sum(items.broken for items in read.values())
    return Generated(
        pairs=selected.pairs,
        dropped={**({"broken": broken} if broken else {}), **selected.dropped},
        refused=ends.count("refusal"),
        unread=sum(replies[key]["end"] != "refusal" for key in empty),
        cut=ends.count("length"),
        n_requests=len(keyed),
        asked=len(todo),
        length_ratio=selected.length_ratio,
        used=used,
        bad=files[0],
        good=files[1],
        table=files[2],
    )


def _known(table: Table, keyed: Mapping[str, Request]) -> dict[str, dict[str, Any]]:
    """The replies that are there already. Those to other requests stay in the table and are left alone."""
    known = {}
    for number, row in enumerate(table.rows(), start=1):
        if not (isinstance(row.get("text"), str) and isinstance(row.get("end"), str)):
            raise DataError(
                "the line is not a reply",
                where=f"{table.path}:{number}",
                expected='"text" and "end", both text',
            )
        if row["id"] in keyed:
            known[row["id"]] = row
    return known


def _ask(
    todo: Sequence[str],
    keyed: Mapping[str, Request],
    writer: Writer,
    endpoint: Endpoint,
    limits: Limits,
    table: Table,
    replies: dict[str, dict[str, Any]],
    progress: Progress,
) -> str:
    """Get a reply to every request into the table; returns what was spent, in words."""
    caller = Caller(endpoint, limits)
    lost: list[str] = []

    async def have(key: str) -> None:
        request = keyed[key]
        options = {"model": writer.model, "temperature": writer.temperature, "seed": request.seed}
        reply = await caller.ask(sendable(request.prompt), writer.reply_tokens, options, _row)
        if isinstance(reply, Failure):
            if reply.mark is None:
                lost.append(reply.detail)
                return
            # The server says that it will never answer this: that is the reply.
            reply = {"end": reply.mark.reason, "text": "", "served": ""}
        row = {"id": key, "topic": request.subject.topic, "subtopic": request.subject.subtopic,
               "seed": request.seed, "writer": writer.model, **reply}  # fmt: skip
        table.append([row])
        replies[key] = row
        progress("generate", len(replies), len(keyed), "request", out=str(table.path.parent))

    progress("generate", len(replies), len(keyed), "request", out=str(table.path.parent))
    try:
        caller.run(caller.each(todo, have))
    finally:
        caller.close()
    if lost:
        raise JudgeError(
            f"{len(lost)} of {len(todo)} requests had no reply; all others are kept",
            where=endpoint.base_url,
            expected="a chat completion",
            found=lost[0],
            hint="run the same command again: only the missing ones are asked",
        )
    return caller.budget.text()


def _row(reply: Reply) -> dict[str, Any]:
    """What of a reply is kept."""
    refused = reply.refusal is not None or reply.finish == "content_filter"
    end = "refusal" if refused else "length" if reply.finish == "length" else "stop"
    # A lone surrogate cannot be a text of the table, and no item that holds one is used.
    return {"end": end, "text": sendable(reply.text), "served": reply.model}
