"""Waiting for the next batch, and for answers, on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import TypeVar

from unibus.engine.inbox import Inbox
from unibus.engine.taken import Taken
from unibus.engine.translation import translated
from unibus.engine.watches import Check, Watches
from unibus.errors import UnsupportedError
from unibus.spi import Adapter

T = TypeVar("T")


class Bell:
    """A latched wake-up for one task; ``ring`` may be called from any thread, any often."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_ringing = False
        self._is_open = False
        self._waiter: asyncio.Future[bool] | None = None

    def ring(self) -> None:
        """Let the next ``wait``, or the one that runs, return; wakes the loop once a burst."""
        if not self._is_ringing:
            self._is_ringing = True
            with suppress(RuntimeError):  # the loop is closed, so nobody waits any more
                self._loop.call_soon_threadsafe(self._open)

    async def wait(self, end: float | None) -> bool:
        """Return whether the bell was rung before *end*, in the loop's time."""
        if not self._is_open and (end is None or end > self._loop.time()):
            self._waiter = waiter = self._loop.create_future()
            timer = None if end is None else self._loop.call_at(end, _settle, waiter)
            try:
                await waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
        is_open, self._is_open = self._is_open, False
        return is_open

    def _open(self) -> None:
        self._is_ringing = False
        self._is_open = True
        if self._waiter is not None:
            _settle(self._waiter)


class Feed:
    """Hands one task the batches of an inbox, and lets it wait while there are none.

    Args:
        adapter: Translates what the receiver raises.
        inbox: Where batches come from.
        bell: What the inbox rings when there is something.

    Attributes:
        ring: Has ``next`` look again, from any thread.
        insiders: Tasks that handle deliveries: a close there cannot wait for them.
    """

    def __init__(self, adapter: Adapter, inbox: Inbox, bell: Bell) -> None:
        self.ring = bell.ring
        self.insiders: frozenset[asyncio.Task[None]] = frozenset()
        self._task: asyncio.Task[object] | None = None
        self._adapter = adapter
        self._inbox = inbox
        self._bell = bell
        self._is_busy = False

    @property
    def is_inside(self) -> bool:
        """Whether nobody but the running task is known to handle what was handed out."""
        task, receiving = asyncio.current_task(), self._task
        return receiving is None or receiving.done() or task is receiving or task in self.insiders

    async def next(
        self, end: float | None, ahead: int, is_over: Callable[[], bool] | None = None
    ) -> Taken | None:
        """Return a batch that has something to hand out; ``None`` when there is none.

        That is at *end*, in the loop's time (``None`` waits for ever), when the consumer is closed,
        or once *is_over* and the bell has been rung. *ahead* is how many are settled, where that
        comes first. Cancelling it loses nothing.

        Raises:
            UnibusError: The way to the broker is lost for good.
            UnsupportedError: Another task is receiving.
        """
        if self._is_busy:
            raise UnsupportedError(
                "another task receives from this consumer; use one consumer a task, or"
                " Consumer.run(handler, workers=...)"
            )
        self._is_busy = True
        self._task = asyncio.current_task()
        try:
            return await self._next(end, ahead, is_over)
        finally:
            self._is_busy = False

    def ready(self) -> Taken | None:
        """Return a batch that has something to hand out now; never waits."""
        with translated(self._adapter):
            taken = self._inbox.grab()
        return taken if taken is not None and taken.next < taken.limit else None

    async def _next(
        self, end: float | None, ahead: int, is_over: Callable[[], bool] | None
    ) -> Taken | None:
        inbox = self._inbox
        while is_over is None or not is_over():
            with translated(self._adapter):
                taken = inbox.grab()
            if taken is None:
                if inbox.is_over:
                    return None
                inbox.check_link(self._adapter)
                if not await self._bell.wait(end):
                    return None
            elif taken.next < taken.limit:
                if taken.next == 0:
                    # A program that never waits must not keep everybody else from running.
                    await asyncio.sleep(0)
                return taken
            elif not await self._settle_first(taken, ahead, end):
                return None
        return None

    async def _settle_first(self, taken: Taken, ahead: int, end: float | None) -> bool:
        inbox = self._inbox
        done = inbox.settlements.settle_first(taken, ahead)
        await wait(inbox.settlements.watches, lambda: done() or inbox.is_over, end)
        if not done():
            return False
        inbox.settlements.confirm(taken)
        return True


async def blocking(executor: Executor | None, adapter: Adapter, work: Callable[[], T]) -> T:
    """Run *work* on a thread of *executor*; what escapes is translated by *adapter*."""
    with translated(adapter):
        return await asyncio.get_running_loop().run_in_executor(executor, work)


async def wait(watches: Watches, check: Check, end: float | None) -> bool:
    """Wait until *check* is true; return whether it is at *end*, in the loop's time."""
    if check():
        return True
    bell = Bell()
    take_back = watches.add(check, bell.ring)
    try:
        return await bell.wait(end) or check()
    finally:
        take_back()


def _settle(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(True)
