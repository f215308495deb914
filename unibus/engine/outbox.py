"""What was published and is not at the broker yet.

The fronts put messages in, a sender pulls batches out and reports what became of them. Nothing here
blocks, and no lock is held while a sender or a waiter is called.

A message is in the *open* batch until somebody pulls it or it is full; then the batch is *sealed*;
then it is *pulled*, and from there on it is the adapter's: nobody takes it back or sends it twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from typing_extensions import override

from unibus.batching import slices
from unibus.clock import Clock
from unibus.engine.failures import Failures
from unibus.engine.line import Line
from unibus.engine.link_log import report_link
from unibus.engine.pending import Extras, Home, Pending
from unibus.engine.receipts import Receipt
from unibus.engine.timers import Alarm
from unibus.engine.waiting import Wake
from unibus.engine.window import Limits
from unibus.errors import (
    DeadlineExceededError,
    ForkedError,
    OverloadedError,
    PublishFailedError,
    UnavailableError,
    UnibusError,
)
from unibus.outcome import Outcome, OutcomeKind, rejected, unknown
from unibus.spi import Binding, Link, Outgoing, Source

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
        self.name = binding.spec.name
        self.limits = limits
        self._clock = clock
        self._translate = translate
        self._offer = self._push = _nobody
        self._lock = threading.Lock()
        self._line = Line(self, binding, limits)
        self._failures = Failures()
        self._alarm = Alarm(clock, self._tick)
        self._is_timed = False
        self._refusal: UnibusError | None = None
        self._down: UnibusError | None = None

    def attach(self, offer: Callable[[], None], push: Callable[[], None]) -> None:
        """Have *offer* called when there is something new to pull, *push* when somebody waits."""
        self._offer, self._push = offer, push

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
        line = self._line
        self._lock.acquire()  # a with statement costs twice as much here
        try:
            batch = line.open
            if batch is None or batch.size + size > line.max_bytes:
                batch = self._begin()
                if batch is None:
                    return None
            bodies = batch.bodies
            index = len(bodies)
            is_first = index == 0 and not line.sealed
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
            if index == line.last:
                line.seal()
        finally:
            self._lock.release()
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
            is_first = self._line.open is None and not self._line.sealed
            batch = self._line.add(columns, size, self._now())
        if is_first and batch is not None:
            self._offer()
        return batch

    def slices(self, sizes: Sequence[int]) -> Iterator[slice]:
        """Cut messages of these sizes into what ``put_batch`` takes."""
        return slices(sizes, self._line.max_slice, self._line.max_bytes)

    def refused(self, columns: Outgoing, cause: UnibusError) -> Pending:
        """Return *columns* as a batch that was never taken and is rejected because of *cause*."""
        with self._lock:
            batch = self._line.new_batch(columns, self._now())
            self._decide([batch], rejected(cause))
        return batch

    def when_room(self, wake: Wake) -> bool:
        """Have *wake* called when the window is open again; False if ``put`` is worth trying."""
        with self._lock:
            if self._refusal is not None or self._line.window.is_open:
                return False
            self._line.window.add_waiter(wake)
        self._push()
        return True

    def overload(self) -> OverloadedError:
        """Return what to raise when the window does not open."""
        text = f"{self.name}: {self._line.window.messages} messages wait for the broker's answer"
        if self._down is not None:
            text += f", and it is out of reach: {self._down}"
        return OverloadedError(f"{text}; publish more slowly, or widen window")

    @override
    def when_decided(self, batch: Pending, index: int, wake: Wake) -> bool:
        with self._lock:
            if index < batch.decided:
                return False
            if isinstance(self._refusal, ForkedError):
                self._check()  # nobody in this process will ever decide it
            batch.add_waiter(index, wake)
        return True

    @override
    def hurry(self) -> None:
        self._push()

    def undecided(self) -> Sequence[Pending]:
        """Return the batches of what was put in so far and is not decided yet."""
        with self._lock:
            return self._line.undecided()

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
            return self._line.pull()

    @override
    def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
        with self._lock:
            pending = self._line.pulled.get(batch)
            if pending is None:
                return  # given up when the outbox was closed
            if outcome.kind is not OutcomeKind.ACCEPTED and first >= pending.decided:
                self._failures.add(pending, count)
            pending.report(first, count, outcome)
            is_freed = self._line.reported(pending, count)
            wakes = [*pending.due(), *self._line.window.due()]
        _call(wakes)
        if is_freed:
            self._offer()

    @override
    def state(self, state: Link, cause: Exception | None) -> None:
        error: UnibusError = UnavailableError(f"{self.name}: the way to the broker is lost")
        if cause is not None:
            error = cause if isinstance(cause, UnibusError) else self._translate(cause)
        self._down = None if state is Link.UP else error
        report_link(state, self.name, error)
        if state is Link.FATAL:
            self.stop(error)
            self.reject_rest(error)

    # The end.

    def stop(self, refusal: UnibusError) -> None:
        """Take nothing more: from now on ``put`` raises *refusal*. The first one counts."""
        with self._lock:
            self._refusal = self._refusal or refusal
            self._line.seal()
            wakes = self._line.window.due(everyone=True)
        _call(wakes)

    def reject_rest(self, cause: UnibusError) -> None:
        """Reject what was not pulled, and is not going to be, because of *cause*."""
        with self._lock:
            wakes = self._decide(self._line.unpulled(), rejected(cause))
        _call(wakes)

    def give_up(self, cause: UnibusError) -> None:
        """Make unknown what was pulled and never answered by a sender that is closed."""
        with self._lock:
            wakes = self._decide(self._line.undecided(), unknown(cause))
            self._line.pulled.clear()
        self._alarm.close()
        _call(wakes)

    def abandon(self) -> None:
        """Be dead in a forked child, where nobody else runs and no lock would be released."""
        self._lock = threading.Lock()
        self._line.open = None
        self._refusal = ForkedError(
            f"{self.name}: the bus was opened before this process was forked off; open one here"
        )

    # Under the lock.

    def _check(self) -> None:
        if self._refusal is not None:
            # Raised again and again: a traceback would grow each time.
            raise self._refusal.with_traceback(None)

    def _begin(self) -> Pending | None:
        self._check()
        return self._line.begin(self._now())

    def _now(self) -> float:
        """Return the time at which a batch is born, and see to its deadline."""
        now = self._clock.now()
        if not self._is_timed:
            self._is_timed = True
            self._alarm.set(now + self._line.grain_s)
        return now

    def _tick(self) -> None:
        """Decide what is overdue; one timer for all of the outbox."""
        within = f"within {self.limits.timeout_s:g} s"
        with self._lock:
            unpulled, pulled = self._line.overdue(self._clock.now())
            reason = f": {self._down}" if self._down is not None else ""
            not_sent = UnavailableError(f"{self.name}: not sent {within}{reason}")
            no_answer = DeadlineExceededError(f"{self.name}: sent, no answer {within}{reason}")
            wakes = self._decide(unpulled, rejected(not_sent))
            wakes += self._decide(pulled, unknown(no_answer))
            again = self._line.next_check()
            self._is_timed = again is not None
        if again is not None:
            self._alarm.set(again)
        _call(wakes)

    def _decide(self, batches: Sequence[Pending], outcome: Outcome) -> list[Wake]:
        for each in batches:
            self._failures.add(each, len(each) - each.decided)
            each.decide_rest(outcome)
        return [*(wake for each in batches for wake in each.due()), *self._line.window.due()]


def _call(wakes: Sequence[Wake]) -> None:
    for wake in wakes:
        wake()


def _nobody() -> None:
    """No sender is attached yet."""
