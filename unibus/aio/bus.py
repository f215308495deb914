"""A connection to a broker, for programs on an event loop."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from types import TracebackType
from typing import Final, Self, TypeVar

from unibus.aio.consumer import Consumer
from unibus.aio.crossing import Crossing
from unibus.aio.feed import blocking
from unibus.aio.opening import Opening
from unibus.aio.producer import Producer
from unibus.aio.topology import Topology
from unibus.capabilities import AcksLevel
from unibus.clock import Clock, SystemClock
from unibus.engine.asking import backlog, purge
from unibus.engine.closing import Budget, Closing
from unibus.engine.core import Core
from unibus.engine.front import Front
from unibus.engine.opening import DeliveryMode
from unibus.engine.outlet import Outlet
from unibus.engine.window import Limits
from unibus.errors import UnibusError
from unibus.redrive import Redriven, redrive
from unibus.requirements import Requirements
from unibus.retry import Backoff
from unibus.specs import Queue, Subscription, Topic
from unibus.spi import Adapter

T = TypeVar("T")
_THREADS: Final = 4  # opening, declaring and closing are all that may block, and they are rare


class Bus(Front):
    """One connection to one broker, for the loop it was opened on; made by ``unibus.aio.connect``.

    As a context manager it closes itself. Forgotten by a program that ends, it takes a second at
    most to send what was published. A process that is forked off cannot use it.
    """

    def __init__(self, core: Core, threads: ThreadPoolExecutor) -> None:
        super().__init__(core)
        self._executor = threads
        self._crossing = Crossing()
        self._consumers: dict[Consumer, None] = {}
        self._producers: dict[Producer, Outlet] = {}
        core.on_leave = self._leave
        core.on_fork = self._abandon

    @classmethod
    def over(
        cls,
        adapter: Adapter,
        *,
        clock: Clock | None = None,
        require: Requirements | None = None,
        profile: str | None = None,
    ) -> Self:
        """Return a bus on an *adapter* that is open already; both, and *clock*, end with it.

        Raises:
            UnsupportedError: No profile promises what is required.
        """
        return cls(Core(adapter, clock or SystemClock(), require, profile), executor())

    @cached_property
    def topology(self) -> Topology:
        """What exists at the broker, and what has to."""
        return Topology(self._core, self._executor)

    # What can be opened.

    def producer(
        self,
        topic: Topic | Queue,
        *,
        acks: AcksLevel | None = None,
        window: int = 4000,
        window_bytes: int = 64 << 20,
        timeout_s: float = 30.0,
    ) -> Opening[Producer]:
        """Open a producer to *topic*, which exists: await it, or enter it with ``async with``.

        Args:
            topic: Where it publishes to.
            acks: How many copies the broker has before it accepts: ``all``, ``leader`` or
                ``none``; by default the most that the profile offers.
            window: Messages without an outcome, at most; ``publish`` waits when it is full, until
                three quarters of them have one.
            window_bytes: The same for the bytes of bodies and headers, overshot by one batch at
                most.
            timeout_s: After so many seconds a message that was not sent is rejected, and one that
                was sent is unknown. Also for opening.

        Raises:
            UnsupportedError: The broker cannot carry *topic*, or does not offer *acks*.
            ConfigurationError: A number is out of its range.
            NotFoundError: The topic does not exist.
            ClosedError: The bus is closed.
            UnibusError: What opening came to.
        """
        core = self._core
        limits = Limits(window=window, window_bytes=window_bytes, timeout_s=timeout_s)
        binding = core.bind_target(topic)

        async def open_it() -> Producer:
            work = partial(
                Outlet,
                core.adapter,
                binding,
                acks,
                clock=core.clock,
                limits=limits,
                timeout_s=timeout_s,
            )
            outlet = await self._run(work)
            producer = Producer(
                core.adapter,
                binding,
                outlet,
                clock=core.clock,
                crossing=self._crossing,
                executor=self._executor,
                on_close=lambda closed: self._producers.pop(closed, None),
            )
            self._producers[producer] = outlet
            return producer

        return Opening(open_it)

    def consumer(
        self,
        subscription: Subscription | Queue,
        *,
        delivery: DeliveryMode = "at_least_once",
        max_unsettled: int = 1000,
        max_batch: int = 500,
        renew_leases: bool = True,
        backoff: Backoff | None = None,
        timeout_s: float = 30.0,
    ) -> Opening[Consumer]:
        """Open a consumer of *subscription*, which exists: await it, or enter it.

        When it is open, it is consuming already.

        Args:
            subscription: Where it receives from.
            delivery: ``at_least_once``: a delivery is settled by the program.
                ``at_most_once``: it is settled before the program sees it.
            max_unsettled: Deliveries that may be held and not settled.
            max_batch: Deliveries that are taken from the broker at once.
            renew_leases: Extend leases while something under them is unsettled.
            backoff: How long a delivery waits whose handler raised.
            timeout_s: For opening, in seconds.

        Raises:
            UnsupportedError: The broker cannot carry *subscription*, or not with this *delivery*.
            ConfigurationError: A number is out of its range.
            NotFoundError: The subscription or its dead letter queue does not exist.
            ClosedError: The bus is closed.
            UnibusError: What opening came to.
        """
        consumer = Consumer(
            self._core.adapter,
            self._core.bind(subscription),
            clock=self._core.clock,
            delivery=delivery,
            max_unsettled=max_unsettled,
            max_batch=max_batch,
            renew_leases=renew_leases,
            backoff=backoff or Backoff(),
            timeout_s=timeout_s,
            relays=self._core.relay,
            on_close=self._forget,
            executor=self._executor,
        )

        async def open_it() -> Consumer:
            self._consumers[await consumer.open()] = None
            return consumer

        return Opening(open_it)

    # What can be asked.

    async def backlog(self, subscription: Subscription | Queue, *, timeout_s: float = 10.0) -> int:
        """Return how many messages wait for *subscription*; held deliveries are not counted.

        Raises:
            UnsupportedError: The broker does not count them.
            UnibusError: What the broker answered.
        """
        return await self._run(partial(backlog, self._core, subscription, timeout_s))

    async def purge(self, subscription: Subscription | Queue, *, timeout_s: float = 10.0) -> None:
        """Remove what waits for *subscription*; held deliveries stay held.

        Raises:
            UnsupportedError: The adapter cannot.
            UnibusError: What the broker answered.
        """
        await self._run(partial(purge, self._core, subscription, timeout_s))

    async def redrive(
        self,
        subscription: Subscription | Queue,
        *,
        max_messages: int | None = None,
        timeout_s: float = 30.0,
    ) -> Redriven:
        """Send the dead letters of *subscription* back to it alone, at most *max_messages*.

        Raises:
            ConfigurationError: It has no dead letter queue.
            UnsupportedError: The broker cannot.
            UnibusError: What the broker answered.
        """
        work = partial(
            redrive, self._core, subscription, max_messages=max_messages, timeout_s=timeout_s
        )
        return await self._run(work)

    # The end.

    async def close(self, timeout_s: float = 10.0) -> None:
        """Close everything within *timeout_s* seconds; safe to call twice.

        In order: consumers (running handlers finish, what was settled is confirmed, the rest is
        given back), retries and dead letters under way, producers (every publish gets its
        outcome), the connection.

        Raises:
            PublishFailedError: Publishes failed that nobody has looked at; raised when everything
                is closed.
            UnibusError: What else went wrong.
        """
        if not self._core.stop():
            return
        closing = Closing(Budget(self._core.clock, timeout_s))
        try:
            for consumer in list(self._consumers):
                await closing.step_on_loop(consumer.close)
            await self._run(partial(self._core.close_relays, closing))
            for producer in list(self._producers):
                await closing.step_on_loop(producer.close)
            await self._run(partial(self._core.finish, closing))
        finally:
            self._executor.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

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
            error.add_note(f"closing the bus also met {type(failure).__name__}: {failure}")

    def _forget(self, closed: Consumer) -> None:
        self._consumers.pop(closed, None)

    def _leave(self, timeout_s: float) -> None:
        """Save what was published; the loop, and with it every consumer, is gone."""
        closing = Closing(Budget(self._core.clock, timeout_s))
        if self._core.stop():
            for outlet in self._producers.values():
                closing.step(outlet.close)
            self._core.finish(closing)

    def _abandon(self) -> None:
        for producer in self._producers:
            producer.abandon()

    async def _run(self, work: Callable[[], T]) -> T:
        return await blocking(self._executor, self._core.adapter, work)


def executor() -> ThreadPoolExecutor:
    """Return the threads of one bus, for what may block."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="unibus-aio")
