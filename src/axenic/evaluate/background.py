"""An event loop in a thread of its own: async inside, sync outside, also where a loop is already running (notebooks)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

STOP_S = 10.0
"""Seconds that an interrupted job has for putting its things in order."""


class BackgroundLoop:
    """Runs coroutines to their end, one after the other; connections stay open in between."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="axenic-judge", daemon=True)
        self._thread.start()

    def run(self, job: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and return what it returns. Ctrl-C cancels it and waits until it has ended."""
        ended = threading.Event()

        async def watched() -> T:
            try:
                return await job
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(watched(), self._loop)
        try:
            return future.result()
        finally:
            if not ended.is_set():
                future.cancel()
                ended.wait(STOP_S)

    def close(self) -> None:
        """End the thread. Closing twice is fine."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(STOP_S)
            self._loop.close()
