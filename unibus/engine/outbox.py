"""What was published and is not at the broker yet: batches, a window, deadlines.

The fronts put messages in, a sender pulls batches out and reports what became of them. Nothing here
blocks, and no lock is held while a sender or a waiter is called.

A message is in the *open* batch until somebody pulls it or it is full; then the batch is *sealed*;
then it is *pulled*, and from there on it is the adapter's: nobody takes it back or sends it twice.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from typing_extensions import override

from unibus import observe
from unibus.clock import Clock
from unibus.engine.failures import Failures
from unibus.engine.order import order_of
from unibus.engine.pending import Extras, Home, Pending
from unibus.engine.receipts import Receipt
from unibus.engine.waiting import Wake
from unibus.engine.window import Limits, Window
from unibus.errors import (
    ForkedError,
    PublishFailedError,
    UnavailableError,
    UnibusError,
)
from unibus.outcome import Outcome, OutcomeKind, rejected, unknown
from unibus.spi import Binding, Link, Outgoing, Source

_log = observe.logger("outbox")

_MAX_BATCH_MESSAGES: Final = 1000  # an adapter may report a batch only when all of it is done
_GRAIN: Final = 0.1  # share of timeout_s that deadlines within one batch may lie apart
_MAX_GRAIN_S: Final = 0.25


_NO_EXTRAS: Final = Extras()


class Outbox(Source, Home):
    """The messages of one producer on their way to its sender. Thread-safe."""

    def __init__(
        self,
        binding: Binding,
        clock: Clock,
        limits: Limits,
        translate: Callable[[Exception], UnibusError],
    ) -> None:
        batch = binding.capabilities.max_batch.value
        self._name = binding.spec.name
        self._timeout_s = limits.timeout_s
        self._grain_s = min(limits.timeout_s * _GRAIN, _MAX_GRAIN_S)
        self._clock = clock
        self._translate = translate
        self._offer: Callable[[], None] = _offer_nobody
        self.max_bytes = batch.max_bytes
        self.max_messages = min(batch.max_messages, _MAX_BATCH_MESSAGES)
        # What put_batch takes fits for sure into a window that has opened again.
        self.max_slice = max(1, min(self.max_messages, limits.window // 4))

        self._lock = threading.Lock()
        self._refusal: UnibusError | None = None
        self._down: UnibusError | None = None
        self._number = 0
        self._open: Pending | None = None  # never empty
        self._last = 0  # the index at which the open batch is full
        self._sealed: deque[Pending] = deque()
        self._pulled: dict[Outgoing, Pending] = {}
        self._window = Window(limits)  # counts what is sealed or pulled
        self._order = order_of(binding)
        self._is_starved = False  # a pull came back empty although there was something
        self._failures = Failures()
        self._is_timed = False

    def attach(self, offer: Callable[[], None]) -> None:
        """Have *offer* called whenever there is something to pull that was not there before."""
        self._offer = offer

    # The program's side.

    def put(
        self,
        body: bytes | None,
        size: int,
        key: str | None = None,
        routing_key: str | None = None,
        extras: Extras | None = None,
    ) -> Receipt | None:
        """Take one checked message of *size* bytes; ``None`` if the window is full.

        Raises:
            UnibusError: Nothing is taken any more: it is closed, or the sender has given up.
        """
        with self._lock:
            batch = self._open
            if batch is None or batch.size + size > self.max_bytes:
                batch = self._begin()
                if batch is None:
                    return None
            bodies = batch.bodies
            index = len(bodies)
            is_first = index == 0 and not self._sealed
            bodies.append(body)
            batch.size += size
            if (column := batch.routing_keys) is not None:
                column.append(routing_key)
            elif routing_key is not None:
                batch.routing_keys = [*[None] * index, routing_key]
            if (column := batch.keys) is not None:
                column.append(key)
            elif key is not None:
                batch.keys = [*[None] * index, key]
            if extras is not None or batch.has_extras:
                batch.add_extras(index, extras or _NO_EXTRAS)
            if index == self._last:
                self._seal()
        if is_first:
            self._offer()
        return Receipt((batch, index))

    def put_batch(self, columns: Outgoing, size: int) -> Pending | None:
        """Take checked messages, at most ``max_slice``, as a batch of their own.

        ``None`` if they do not fit into the window now.

        Raises:
            UnibusError: Nothing is taken any more: it is closed, or the sender has given up.
        """
        with self._lock:
            self._check()
            self._seal()
            if len(columns) > self._window.free:
                return None
            is_first = not self._sealed
            batch = self._open = self._new_batch(columns)
            batch.size = size
            self._seal()
        if is_first:
            self._offer()
        return batch

    def refused(self, columns: Outgoing, cause: UnibusError) -> Pending:
        """Return *columns* as a batch that was never taken and is rejected because of *cause*."""
        with self._lock:
            batch = self._new_batch(columns)
            self._decide(batch, rejected(cause))
        return batch

    def when_room(self, wake: Wake) -> bool:
        """Have *wake* called when the window is open again; False if ``put`` is worth trying."""
        with self._lock:
            if self._refusal is not None or self._window.is_open:
                return False
            self._window.add_waiter(wake)
        return True

    def overload(self) -> str:
        """Return what an error says about a window that does not open."""
        text = f"{self._name}: {self._window.messages} messages wait for the broker's answer"
        return text if self._down is None else f"{text}, and it is out of reach: {self._down}"

    @override
    def when_decided(self, batch: Pending, index: int, wake: Wake) -> bool:
        with self._lock:
            if index < batch.decided:
                return False
            if isinstance(self._refusal, ForkedError):
                self._check()  # nobody in this process will ever decide it
            batch.add_waiter(index, wake)
        return True

    def undecided(self) -> list[Pending]:
        """Return the batches of what was put in so far and is not decided yet."""
        with self._lock:
            self._seal()
            batches = [*self._pulled.values(), *self._sealed]
        return [each for each in batches if each.decided < len(each)]

    @override
    def forget(self, batch: Pending) -> None:
        with self._lock:
            self._failures.discard(batch)

    def take_failures(self) -> PublishFailedError | None:
        """Return the error that reports the failures nobody has looked at; now somebody has."""
        with self._lock:
            return self._failures.take()

    # The sender's side.

    @override
    def pull(self) -> Outgoing | None:
        with self._lock:
            if not self._sealed:
                self._seal()
                if not self._sealed:
                    return None
            batch = self._sealed[0]
            self._is_starved = not self._order.admit(batch)
            if self._is_starved:
                return None
            self._sealed.popleft()
            self._pulled[batch] = batch
        return batch

    @override
    def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
        with self._lock:
            pending = self._pulled.get(batch)
            if pending is None:
                return  # given up when the outbox was closed
            if outcome.kind is not OutcomeKind.ACCEPTED and first >= pending.decided:
                self._failures.add(pending, count)
            pending.report(first, count, outcome)
            self._window.give_back(count, 0)
            is_freed = pending.is_reported and self._release(pending)
            wakes = [*pending.due(), *self._window.due()]
        for wake in wakes:
            wake()
        if is_freed:
            self._offer()

    @override
    def state(self, state: Link, cause: Exception | None) -> None:
        error = UnavailableError(f"{self._name}: the way to the broker is lost")
        if cause is not None:
            error = cause if isinstance(cause, UnibusError) else self._translate(cause)
        self._down = None if state is Link.UP else error
        if state is Link.FATAL:
            self.stop(error)
            self.reject_rest(error)

    # The end.

    def stop(self, refusal: UnibusError) -> None:
        """Take nothing more: from now on ``put`` raises *refusal*. The first one counts."""
        with self._lock:
            self._refusal = self._refusal or refusal
            self._seal()
            wakes = self._window.due(everyone=True)
        for wake in wakes:
            wake()

    def reject_rest(self, cause: UnibusError) -> None:
        """Reject what was not pulled, and is not going to be, because of *cause*."""
        with self._lock:
            self._seal()
            wakes = self._expire(self._sealed, rejected(cause))
            self._sealed.clear()
        for wake in wakes:
            wake()

    def give_up(self, cause: UnibusError) -> None:
        """Make unknown what was pulled and never answered by a sender that is closed."""
        with self._lock:
            wakes = self._expire(self._pulled.values(), unknown(cause))
            self._pulled.clear()
        for wake in wakes:
            wake()

    def abandon(self) -> None:
        """Be dead in a forked child, where nobody else runs and no lock will be released."""
        self._lock = threading.Lock()
        self._refusal = ForkedError(
            f"{self._name}: the bus was opened before this process was forked off; open another one"
        )
        self._open = None

    # Under the lock.

    def _check(self) -> None:
        if self._refusal is not None:
            # Raised again and again: a traceback would grow each time.
            raise self._refusal.with_traceback(None)

    def _begin(self) -> Pending | None:
        self._check()
        self._seal()
        free = self._window.free
        if free <= 0:
            return None
        self._last = min(free, self.max_messages) - 1
        self._open = self._new_batch(Outgoing([]))
        return self._open

    def _new_batch(self, columns: Outgoing) -> Pending:
        self._number += 1
        now = self._clock.now()
        if not self._is_timed:
            self._is_timed = True
            self._clock.call_at(now + self._grain_s, self._tick)
        return Pending(self, self._number, now, columns)

    def _seal(self) -> None:
        batch, self._open = self._open, None
        if batch is not None:
            self._window.take(len(batch), batch.size)
            self._sealed.append(batch)


def _offer_nobody() -> None:
    """There is no sender yet; it finds what waits when it pulls."""
