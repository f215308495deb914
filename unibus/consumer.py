"""Receiving, for programs that wait: hand out deliveries, and settle what became of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Self

from unibus.capabilities import Capabilities
from unibus.clock import Clock
from unibus.emulation.relay import Relays
from unibus.engine.batches import Batch, Slice
from unibus.engine.deliveries import Delivery
from unibus.engine.feed import SETTLED_AHEAD, Feed
from unibus.engine.lanes import Crew, read_ahead, share
from unibus.engine.opening import DeliveryMode, Intake
from unibus.engine.requests import Turn, check_receive, check_seek
from unibus.engine.taken import Taken
from unibus.engine.translation import translated
from unibus.engine.watches import Gate
from unibus.errors import DeadlineExceededError, UnibusError
from unibus.retry import Backoff
from unibus.spi import Adapter, Binding, SeekTarget

_LOOK_S = 0.1  # a program's stop event cannot wake anybody


class Consumer:
    """Receives from one subscription; made by ``bus.consumer``.

    One thread at a time iterates or receives; deliveries may be settled on any thread, and
    ``flush``, ``pause``, ``resume``, ``seek`` and ``close`` called on any. As a context manager it
    closes itself.

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
        on_close: Callable[[Consumer], object],
    ) -> None:
        self._adapter = adapter
        self._binding = binding
        self._max_unsettled = max_unsettled
        self._on_close = on_close
        self._turn = Turn()
        intake = Intake(
            delivery=delivery,
            max_unsettled=max_unsettled,
            max_batch=max_batch,
            renew_leases=renew_leases,
            backoff=backoff,
            timeout_s=timeout_s,
        )
        gate = Gate()
        self._inbox = intake.open(adapter, binding, clock=clock, relays=relays, wake=gate.open)
        self._feed = Feed(adapter, self._inbox, gate)

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
        return self._inbox.is_over

    def __iter__(self) -> Iterator[Delivery]:
        """Hand out deliveries one by one, waiting for more until the consumer is closed.

        Stopping to iterate loses nothing: what was not handed out is next.

        Raises:
            ClosedError: The consumer was closed before.
            UnibusError: The way to the broker is lost for good.
        """
        self._inbox.check_usable()
        with self._turn:
            yield from self._deliveries(lambda: self._feed.next(None, SETTLED_AHEAD))

    def receive(self, max_messages: int = 1, timeout_s: float = 10.0) -> Batch[Delivery]:
        """Wait for a message, and return it with what else is there, at most *max_messages*.

        Never waits to fill the batch. It is empty when nothing came within *timeout_s* seconds (0
        does not wait), or the consumer was closed meanwhile.

        Raises:
            ClosedError: The consumer was closed before.
            UnibusError: The way to the broker is lost for good.
            UnsupportedError: Another thread is receiving.
        """
        check_receive(max_messages, timeout_s)
        self._inbox.check_usable()
        slices: list[Slice] = []
        end = time.monotonic() + timeout_s
        with self._turn:
            while max_messages > 0:
                taken = self._feed.next(0.0 if slices else end, max_messages)
                if taken is None:
                    break
                first, stop = self._inbox.slice(taken, max_messages)
                if first < stop:
                    slices.append((taken, first, stop))
                    max_messages -= stop - first
        return Batch(slices, Delivery)

    def run(
        self,
        handler: Callable[[Delivery], object],
        *,
        workers: int = 1,
        stop: threading.Event | None = None,
    ) -> None:
        """Call *handler* with each delivery, until the consumer is closed or *stop* is set.

        A delivery is acked when *handler* returns, and nacked with backoff when it raises. At most
        *workers* run at once; where the topic is ordered, deliveries of one key run one after the
        other. When it returns, no handler runs; what was not started has been released.

        Raises:
            UnibusError: As when iterating.
            BaseException: What a handler raised that is no ``Exception``.
        """
        self._inbox.check_usable()

        def handle(delivery: Delivery) -> None:
            if delivery.is_startable():
                with delivery:
                    handler(delivery)

        crew = Crew(handle, workers, read_ahead(self._binding, workers, self._max_unsettled))

        def is_over() -> bool:
            is_stopped = stop is not None and stop.is_set()
            return self._inbox.is_over or is_stopped or crew.error is not None

        with self._turn:
            deliveries = self._deliveries(partial(self._poll, is_over))
            if workers > 1:
                share(crew, self._binding, self._inbox, deliveries, is_over)
                return
            for delivery in deliveries:
                handle(delivery)
                if is_over():
                    return

    def flush(self, timeout_s: float = 30.0) -> None:
        """Hand over what was settled, and wait until the broker has answered all of it.

        A log cannot have what lies behind an unsettled delivery: that stays "sent".

        Raises:
            LeaseLostError: Some of what was settled since the last flush came after its lease.
            DeadlineExceededError: There are answers missing after *timeout_s* seconds.
            UnibusError: The outcome of some is unknown.
            ClosedError: The consumer is closed.
        """
        self._inbox.check_usable()
        settlements = self._inbox.settlements
        if not settlements.watches.wait(settlements.flush(), timeout_s):
            raise DeadlineExceededError(
                f"the broker of {self.subscription} has not confirmed every settlement within"
                f" {timeout_s:g} s; they may have taken effect"
            )
        error = settlements.take_late().error(self.subscription)
        if error is not None:
            raise error

    def seek(self, target: SeekTarget, timeout_s: float = 30.0) -> None:
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
        with translated(self._adapter):
            receiver.seek(target, timeout_s=timeout_s)

    def pause(self, *, give_back: bool = False) -> None:
        """Hand out nothing until ``resume``; with *give_back*, return what is held to the broker.

        Where ``capabilities.give_back_keeps_membership`` is not offered, giving back also gives up
        this consumer's place among the others.
        """
        self._inbox.check_usable()
        self._inbox.pause(give_back=give_back)

    def resume(self) -> None:
        """Hand out again; quiet if it was not paused."""
        self._inbox.check_usable()
        self._inbox.resume()

    def close(self, timeout_s: float = 10.0) -> None:
        """Stop handing out, tell the broker what was settled, and give back the rest in order.

        Deliveries that other threads still work on have half of *timeout_s* to be settled. Never
        takes longer than *timeout_s*; what was settled too late, or not confirmed, is logged (call
        ``flush`` before to be told). No delivery is handed out once it has returned. Safe to call
        twice and from any thread.

        Raises:
            UnibusError: What the broker answered.
        """
        if self._inbox.is_foreign:
            return  # a fork: the connection, and what is held, are the parent's
        try:
            with translated(self._adapter):
                self._inbox.close(timeout_s, waits=not self._inbox.is_inside)
        finally:
            self._on_close(self)

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
            error.add_note(f"closing the consumer also met {type(failure).__name__}: {failure}")

    def _deliveries(self, following: Callable[[], Taken | None]) -> Iterator[Delivery]:
        """Yield what *following* comes up with, until that is ``None``; the hot path."""
        startable = self._inbox.startable
        while (taken := following()) is not None:
            bodies = taken.bodies
            while (index := taken.next) < taken.limit:
                # Counted before the look: whoever ends a lease, or the consumer, first makes it
                # stale and then counts what has been handed out.
                taken.next = index + 1
                if taken.stale:
                    index = startable(taken, index)
                    if index < 0:
                        break
                yield Delivery(bodies[index], taken, index)

    def _poll(self, is_over: Callable[[], bool]) -> Taken | None:
        while not is_over():
            taken = self._feed.next(time.monotonic() + _LOOK_S, SETTLED_AHEAD)
            if taken is not None:
                return taken
        return None
