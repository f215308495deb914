"""A connection to a broker, for programs that wait."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import TracebackType
from typing import Self

from unibus.capabilities import AcksLevel
from unibus.clock import Clock, SystemClock
from unibus.consumer import Consumer
from unibus.engine.asking import backlog, purge
from unibus.engine.closing import Budget, Closing
from unibus.engine.core import Core
from unibus.engine.front import Front
from unibus.engine.opening import DeliveryMode
from unibus.engine.window import Limits
from unibus.errors import UnibusError
from unibus.producer import Producer
from unibus.redrive import Redriven, redrive
from unibus.requirements import Requirements
from unibus.retry import Backoff
from unibus.specs import Queue, Subscription, Topic
from unibus.spi import Adapter
from unibus.topology import Topology


def connect(
    url: str,
    *,
    options: Mapping[str, object] | None = None,
    require: Requirements | None = None,
    timeout_s: float = 10.0,
) -> Bus:
    """Connect to the broker that *url* names, and return the bus.

    Args:
        url: ``amqp://user:password@host:5672/vhost``, ``memory://``...; ``?profile=`` chooses one
            of the broker's profiles for everything that names none.
        options: What the adapter takes beside the URL; see its page.
        require: Refuse a broker none of whose profiles promises all of this.
        timeout_s: How long it may take, in seconds.

    Raises:
        ConfigurationError: The URL or an option is wrong, or no adapter is installed for it.
        UnavailableError: Nothing answers there.
        PermissionDeniedError: The broker refuses the credentials.
        UnsupportedError: No profile promises what is required.
        DeadlineExceededError: The broker did not answer in time.
    """
    return Bus(
        Core.connect(url, options=options, require=require, timeout_s=timeout_s),
    )


class Bus(Front):
    """One connection to one broker; made by ``unibus.connect``. Thread-safe.

    As a context manager it closes itself. Forgotten by a program that ends, it takes a second at
    most to send what was published. A process that is forked off cannot use it.
    """

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._consumers: dict[Consumer, None] = {}
        self._producers: dict[Producer, None] = {}
        core.on_leave = self.close
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
        return cls(Core(adapter, clock or SystemClock(), require, profile))

    @cached_property
    def topology(self) -> Topology:
        """What exists at the broker, and what has to."""
        return Topology(self._core)

    # What can be opened.

    def producer(
        self,
        topic: Topic | Queue,
        *,
        acks: AcksLevel | None = None,
        window: int = 4000,
        window_bytes: int = 64 << 20,
        timeout_s: float = 30.0,
    ) -> Producer:
        """Return a producer to *topic*, which exists.

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
        limits = Limits(window=window, window_bytes=window_bytes, timeout_s=timeout_s)
        producer = Producer(
            self._core.adapter,
            self._core.bind_target(topic),
            clock=self._core.clock,
            acks=acks,
            limits=limits,
            on_close=lambda closed: self._producers.pop(closed, None),
        )
        self._producers[producer] = None
        return producer

    def consumer(  # the settings of one consumer
        self,
        subscription: Subscription | Queue,
        *,
        delivery: DeliveryMode = "at_least_once",
        max_unsettled: int = 1000,
        max_batch: int = 500,
        renew_leases: bool = True,
        backoff: Backoff | None = None,
        timeout_s: float = 30.0,
    ) -> Consumer:
        """Return a consumer of *subscription*, which exists; it is consuming already.

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
            on_close=lambda closed: self._consumers.pop(closed, None),
        )
        self._consumers[consumer] = None
        return consumer

    # What can be asked.

    def backlog(self, subscription: Subscription | Queue, *, timeout_s: float = 10.0) -> int:
        """Return how many messages wait for *subscription*; held deliveries are not counted.

        Raises:
            UnsupportedError: The broker does not count them.
            UnibusError: What the broker answered.
        """
        return backlog(self._core, subscription, timeout_s)

    def purge(self, subscription: Subscription | Queue, *, timeout_s: float = 10.0) -> None:
        """Remove what waits for *subscription*; held deliveries stay held.

        Raises:
            UnsupportedError: The adapter cannot.
            UnibusError: What the broker answered.
        """
        purge(self._core, subscription, timeout_s)

    def redrive(
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
        return redrive(self._core, subscription, max_messages=max_messages, timeout_s=timeout_s)

    # The end.

    def close(self, timeout_s: float = 10.0) -> None:
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
        for consumer in list(self._consumers):
            closing.step(consumer.close)
        self._core.close_relays(closing)
        for producer in list(self._producers):
            closing.step(producer.close)
        self._core.finish(closing)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except UnibusError as failure:
            if error is None:
                raise
            error.add_note(f"closing the bus also met {type(failure).__name__}: {failure}")

    def _abandon(self) -> None:
        for producer in self._producers:
            producer.abandon()
