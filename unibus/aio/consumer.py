"""Receiving, for programs on an event loop: hand out deliveries, and settle what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial
from types import TracebackType
from typing import Self

from unibus.aio.crew import Crew, share
from unibus.aio.deliveries import Deliveries, Delivery
from unibus.aio.feed import Bell, Feed, blocking, wait
from unibus.capabilities import Capabilities
from unibus.clock import Clock
from unibus.emulation.relay import Relays
from unibus.engine.batches import Batch, Slice
from unibus.engine.feed import SETTLED_AHEAD
from unibus.engine.inbox import Inbox
from unibus.engine.lanes import read_ahead
from unibus.engine.opening import DeliveryMode, Intake
from unibus.engine.requests import check_receive, check_seek
from unibus.errors import ClosedError, DeadlineExceededError, UnibusError
from unibus.retry import Backoff
from unibus.spi import Adapter, Binding, SeekTarget


class Consumer:
    """Receives from one subscription; made by ``bus.consumer``, on the loop it is used on.

    One task at a time iterates or receives. ``async with`` opens it and closes it.

    With ``delivery="at_most_once"`` a delivery is settled, and the broker's answer awaited, before
    it is handed out: ``receive`` settles exactly what it returns, iterating up to fifty at a time,
    and what of these was not handed out is lost with a crash or a close.
    """

    def __init__(  # noqa: PLR0913  # the settings of bus.consumer, and what the bus lends
        self,
        adapter: Adapter,
        binding: Binding,
        *,
        clock: Clock,
        delivery: DeliveryMode,
        max_unsettled: int,
        max_batch: int,
        renew_leases: bool,
        backoff: Backoff,
        timeout_s: float,
        relays: Relays,
        on_close: Callable[[Consumer], None],
        executor: Executor | None = None,
    ) -> None:
        self._adapter = adapter
        self._binding = binding
        self._clock = clock
        self._max_unsettled = max_unsettled
        self._relays = relays
        self._on_close = on_close
        self._executor = executor
        self._intake = Intake(
            delivery=delivery,
            max_unsettled=max_unsettled,
            max_batch=max_batch,
            renew_leases=renew_leases,
            backoff=backoff,
            timeout_s=timeout_s,
        )
        self._intake.check(binding)
        self._opened: tuple[Inbox, Feed] | None = None

    async def open(self) -> Self:
        """Begin to receive; quiet if it has begun.

        Raises:
            UnibusError: What opening came to.
        """
        if self._opened is None:
            bell = Bell()
            work = partial(
                self._intake.open,
                self._adapter,
                self._binding,
                clock=self._clock,
                relays=self._relays,
                wake=bell.ring,
            )
            inbox = await blocking(self._executor, self._adapter, work)
            self._opened = inbox, Feed(self._adapter, inbox, bell)
        return self

    @property
    def capabilities(self) -> Capabilities:
        """What is promised of this subscription, emulations included."""
        return self._binding.capabilities

    @property
    def subscription(self) -> str:
        """Name of the subscription."""
        return self._binding.spec.name

    @property
    def is_idle(self) -> bool:
        """Whether the broker has given this consumer no share of the work: it stands by."""
        return self._inbox.receiver.is_idle()

    @property
    def is_closed(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._opened is not None and self._inbox.is_over

    def __aiter__(self) -> Deliveries:
        """Hand out deliveries one by one, waiting for more until the consumer is closed.

        Stopping to iterate, or being cancelled, loses nothing: what was not handed out is next.

        Raises:
            ClosedError: The consumer was closed before.
            UnibusError: The way to the broker is lost for good.
        """
        self._inbox.check_usable()
        return Deliveries(self._inbox, lambda: self._feed.next(None, SETTLED_AHEAD))

    async def receive(self, max_messages: int = 1, timeout_s: float = 10.0) -> Batch[Delivery]:
        """Wait for a message, and return it with what else is there, at most *max_messages*.

        Never waits to fill the batch. It is empty when nothing came within *timeout_s* seconds (0
        does not wait), or the consumer was closed meanwhile.

        Raises:
            ClosedError: The consumer was closed before.
            UnibusError: The way to the broker is lost for good.
            UnsupportedError: Another task is receiving.
        """
        check_receive(max_messages, timeout_s)
        self._inbox.check_usable()
        end = asyncio.get_running_loop().time() + timeout_s
        slices: list[Slice] = []
        taken = await self._feed.next(end, max_messages)
        while taken is not None:
            first, stop = self._inbox.slice(taken, max_messages)
            if first < stop:
                slices.append((taken, first, stop))
                max_messages -= stop - first
            # Only what is there without waiting: a cancellation would lose what is in hand.
            taken = self._feed.ready() if max_messages > 0 else None
        return Batch(slices, Delivery)

    async def run(
        self,
        handler: Callable[[Delivery], Awaitable[object]],
        *,
        workers: int = 1,
        stop: asyncio.Event | None = None,
    ) -> None:
        """Await *handler* with each delivery, until the consumer is closed or *stop* is set.

        A delivery is acked when *handler* returns, and nacked with backoff when it raises. At most
        *workers* run at once; where the topic is ordered, deliveries of one key run one after the
        other. When it returns, no handler runs; what was not started has been released.

        Raises:
            UnibusError: As when iterating.
            BaseException: What a handler raised that is no ``Exception``.
        """
        self._inbox.check_usable()

        async def handle(delivery: Delivery) -> None:
            if delivery.is_startable():
                async with delivery:
                    await handler(delivery)

        window = read_ahead(self._binding, workers, self._max_unsettled)
        crew = Crew(handle, workers, window, self._feed.ring)

        def is_over() -> bool:
            is_stopped = stop is not None and stop.is_set()
            return self._inbox.is_over or is_stopped or crew.error is not None

        deliveries = Deliveries(self._inbox, lambda: self._feed.next(None, SETTLED_AHEAD, is_over))
        self._feed.insiders = crew.tasks
        try:
            async with crew.looking(stop):
                await share(crew, self._binding, self._inbox, deliveries, is_over)
        finally:
            self._feed.insiders = frozenset()

    async def flush(self, timeout_s: float = 30.0) -> None:
        """Hand over what was settled, and wait until the broker has answered all of it.

        Raises:
            LeaseLostError: Some of what was settled since the last flush came after its lease.
            DeadlineExceededError: There are answers missing after *timeout_s* seconds.
            UnibusError: The outcome of some is unknown.
            ClosedError: The consumer is closed.
        """
        self._inbox.check_usable()
        settlements = self._inbox.settlements
        end = asyncio.get_running_loop().time() + timeout_s
        if not await wait(settlements.watches, settlements.flush(), end):
            raise DeadlineExceededError(
                f"the broker of {self.subscription} has not confirmed every settlement within"
                f" {timeout_s:g} s; they may have taken effect"
            )
        error = settlements.take_late().error(self.subscription)
        if error is not None:
            raise error

    async def seek(self, target: SeekTarget, timeout_s: float = 30.0) -> None:
        """Go on reading at *target*: ``earliest``, ``latest``, a position or an aware datetime.

        What is held now is lost with its lease, and delivered again if it lies after *target*.

        Raises:
            UnsupportedError: ``capabilities.replay`` does not offer it; nothing was sent.
            ConfigurationError: *target* is a naive datetime.
            UnibusError: What the broker answered.
        """
        self._inbox.check_usable()
        receiver = check_seek(self._inbox.receiver, self.capabilities, target)
        self._inbox.settlements.hand_over()
        work = partial(receiver.seek, target, timeout_s=timeout_s)
        await blocking(self._executor, self._adapter, work)

    def pause(self, *, give_back: bool = False) -> None:
        """Hand out nothing until ``resume``; with *give_back*, return what is held to the broker.

        Where ``capabilities.give_back_keeps_membership`` is not offered, giving back also gives up
        this consumer's place among the others. Never waits.
        """
        self._inbox.check_usable()
        self._inbox.pause(give_back=give_back)

    def resume(self) -> None:
        """Hand out again; quiet if it was not paused, and never waits."""
        self._inbox.check_usable()
        self._inbox.resume()

    async def close(self, timeout_s: float = 10.0) -> None:
        """Stop handing out, tell the broker what was settled, and give back the rest in order.

        Deliveries that other tasks still work on have half of *timeout_s* to be settled. Never
        takes longer than *timeout_s*; what was settled too late, or not confirmed, is logged (call
        ``flush`` before to be told). No delivery is handed out once it has returned. Safe to call
        twice; one that was not opened has nothing to close.

        Raises:
            UnibusError: What the broker answered.
        """
        if self._opened is not None and not self._inbox.is_foreign:
            work = partial(self._inbox.close, timeout_s, waits=not self._feed.is_inside)
            self._inbox.stop()
            try:
                await blocking(self._executor, self._adapter, work)
            finally:
                self._on_close(self)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.close()
        except UnibusError as failure:
            if error is None:
                raise
            error.add_note(f"closing the consumer also met {type(failure).__name__}: {failure}")

    @property
    def _inbox(self) -> Inbox:
        return self._parts()[0]

    @property
    def _feed(self) -> Feed:
        return self._parts()[1]

    def _parts(self) -> tuple[Inbox, Feed]:
        if self._opened is None:
            raise ClosedError(
                f"the consumer of {self.subscription} is not open; use it in 'async with', or await"
                " open()"
            )
        return self._opened
