"""From the threads of an adapter to the event loop, with one wake-up a burst."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from unibus.engine.waiting import Wake


class Crossing:
    """Makes calls on the loop on which it was made. Thread-safe."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._calls: deque[Wake] = deque()
        self._is_waking = False

    def call(self, what: Wake) -> None:
        """Make the call *what* on the loop, soon; a wake costs 15 microseconds, so they share."""
        self._calls.append(what)
        if not self._is_waking:
            self._is_waking = True
            with suppress(RuntimeError):  # the loop is closed, so nobody waits any more
                self._loop.call_soon_threadsafe(self._drain)

    def offer(self, offer: Callable[[], None]) -> None:
        """Call *offer* once this turn of the loop has published all it wants to."""
        if threading.get_ident() == self._thread and self._loop.is_running():
            self._loop.call_soon(offer)
        else:
            offer()

    async def wait(self, register: Callable[[Wake], bool], timeout_s: float | None) -> bool:
        """Wait like ``unibus.engine.waiting.wait``, without holding up the loop."""
        future: asyncio.Future[None] = self._loop.create_future()
        if not register(partial(self.call, partial(_settle, future))):
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return False
        return True

    def _drain(self) -> None:
        # Cleared first: what is appended from now on may come too late for this turn.
        self._is_waking = False
        while self._calls:
            self._calls.popleft()()


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():  # it may have been cancelled
        future.set_result(None)
