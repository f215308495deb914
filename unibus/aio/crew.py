"""Several deliveries at once on an event loop, and those of one key one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from unibus.engine.deliveries import AnyDelivery
from unibus.engine.inbox import Inbox
from unibus.engine.lanes import Lanes, lane
from unibus.spi import Binding

T = TypeVar("T")
D = TypeVar("D", bound=AnyDelivery)


class Crew(Generic[T]):
    """Tasks that handle items, never more than *workers* at once, each key in order.

    Args:
        handle: Awaited with each item.
        workers: How many tasks.
        window: Items that are started or wait for their turn, at most.
        wake: Called when a handler has ended the work.

    Attributes:
        tasks: The tasks.
        error: What was no ``Exception`` and ended a handler, and with it the work.
        left: What was not started, once it has ended.
    """

    def __init__(
        self,
        handle: Callable[[T], Awaitable[object]],
        workers: int,
        window: int,
        wake: Callable[[], None],
    ) -> None:
        self.error: BaseException | None = None
        self.left: list[T] = []
        self._handle = handle
        self._window = window
        self._wake = wake
        self._lanes: Lanes[T] = Lanes()
        self._startable = asyncio.Semaphore(0)
        self._room = asyncio.Event()
        self.tasks = frozenset(asyncio.create_task(self._work()) for _ in range(workers))

    async def put(self, key: Hashable, item: T, is_over: Callable[[], bool]) -> None:
        """Have *item* handled in its turn, and wait until there is room for another one."""
        if self._lanes.add(key, item):
            self._startable.release()
        while self._lanes.size >= self._window and not is_over():
            self._room.clear()
            await self._room.wait()

    @asynccontextmanager
    async def looking(self, stop: asyncio.Event | None) -> AsyncIterator[None]:
        """Have everybody who waits look again once *stop* is set."""
        watcher = None if stop is None else asyncio.create_task(self._look_after(stop))
        try:
            yield
        finally:
            if watcher is not None:
                watcher.cancel()

    def cancel(self) -> None:
        """Cancel the handlers."""
        for task in self.tasks:
            task.cancel()

    async def end(self, *, drain: bool) -> None:
        """Wait for what was started, with *drain* for nothing else.

        When this is cancelled, so are the handlers.
        """
        self.left = self._lanes.drain() if drain else []
        try:
            while self._lanes.size:
                if self.error is not None:
                    self.left += self._lanes.drain()  # nobody starts anything any more
                    if not self._lanes.size:
                        break
                self._room.clear()
                await self._room.wait()
        finally:
            self.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            self.left += self._lanes.drain()

    async def _work(self) -> None:
        while self.error is None:
            await self._startable.acquire()
            job = self._lanes.start()
            if job is None:  # it was drained meanwhile
                continue
            key, item = job
            try:
                await self._handle(item)
            except BaseException as error:
                self.error = error
                self._wake()
                raise
            finally:
                if self._lanes.done(key):
                    self._startable.release()
                self._room.set()

    async def _look_after(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._room.set()
        self._wake()


async def share(
    crew: Crew[D],
    binding: Binding,
    inbox: Inbox,
    deliveries: AsyncIterable[D],
    is_over: Callable[[], bool],
) -> None:
    """Have *crew* handle *deliveries* until *is_over*; what is not started then is released.

    Raises:
        BaseException: What ended a handler and is no ``Exception``.
    """
    settles_first = inbox.settlements.rules.settles_first
    try:
        async for delivery in deliveries:
            await crew.put(lane(binding, delivery), delivery, is_over)
            if is_over():
                break
    except BaseException:
        crew.cancel()
        raise
    finally:
        try:
            # What is settled already can only be handled, or be lost.
            await crew.end(drain=not settles_first)
        finally:
            if not settles_first:
                for delivery in crew.left:
                    delivery.release()
    if crew.error is not None:
        raise crew.error
