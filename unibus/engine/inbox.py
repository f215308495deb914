"""The receiving heart of both fronts: what the adapter tells, and what is handed out next."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence

from typing_extensions import override

from unibus import observe, spi
from unibus.clock import Clock
from unibus.engine.closing import Budget
from unibus.engine.leases import Renewal
from unibus.engine.settlements import Settlements
from unibus.engine.taken import Taken
from unibus.errors import (
    ClosedError,
    DeadlineExceededError,
    ForkedError,
    LeaseLostError,
    UnibusError,
)
from unibus.spi import Lease, Link, Outcome, Verdict

_log = observe.logger("consumer")

_LINKS = {
    Link.UP: (logging.INFO, observe.LINK_UP, "receiving from %s again (%s)"),
    Link.DOWN: (logging.WARNING, observe.LINK_DOWN, "lost the way to %s, reconnecting: %s"),
    Link.FATAL: (logging.WARNING, observe.LINK_FATAL, "lost the way to %s for good: %s"),
}
_HANDLERS_SHARE = 0.5  # of a close: the rest is for telling the broker what they settled
_BARRIER_SHARE = 0.5  # of what is then left: the rest is for giving back in order


class Inbox(spi.Events):
    """What one consumer has taken: handed out in order, settled in any order.

    Any method may be called on any thread; ``grab`` and ``startable`` on one at a time. Only
    ``revoking`` and ``close`` block.

    Args:
        settlements: Gathers what the program settles; its receiver is set once that is open.
        clock: Tells the time.
        wake: Called when there may be something to hand out, or an end to waiting for it.
        renewal: Keeps leases, if they are to be kept.

    Attributes:
        home: The thread that receives. What it was handed is not waited for on the same thread.
        insiders: Threads that handle deliveries: a close there cannot wait for them.
        failure: Why the adapter gave up for good; ``None`` while it has not.
    """

    def __init__(
        self,
        settlements: Settlements,
        clock: Clock,
        wake: Callable[[], None],
        renewal: Renewal | None,
    ) -> None:
        self.settlements = settlements
        self.home = threading.get_ident()
        self.insiders: frozenset[int] = frozenset()
        self.failure: Exception | None = None
        self._clock = clock
        self._wake = wake
        self._renewal = renewal
        self._current: Taken | None = None
        self._is_paused = False
        self._is_closing = False
        self._closing = threading.Lock()
        self._pid = os.getpid()

    @property
    def receiver(self) -> spi.Receiver:
        """The receiver, layers included."""
        return self.settlements.receiver

    @property
    def is_over(self) -> bool:
        """Whether nothing will be handed out any more, since the consumer is closed."""
        return self._is_closing

    def check_usable(self) -> None:
        """Refuse what can no longer work.

        Raises:
            ClosedError: The consumer is closed.
            ForkedError: It was opened in another process.
        """
        name = self.settlements.rules.subscription
        if self.is_foreign:
            raise ForkedError(
                f"the consumer of {name} was opened before this process was forked off;"
                " open a bus after the fork"
            )
        if self._is_closing:
            raise ClosedError(f"the consumer of {name} is closed")

    @property
    def is_foreign(self) -> bool:
        """Whether this process was forked off after the consumer was opened."""
        return os.getpid() != self._pid

    @property
    def is_inside(self) -> bool:
        """Whether nobody but the calling thread is known to handle what was handed out."""
        caller = threading.get_ident()
        if caller == self.home or caller in self.insiders:
            return True
        return all(thread.ident != self.home for thread in threading.enumerate())

    def check_link(self, adapter: spi.Adapter) -> None:
        """Refuse to wait for what cannot come any more.

        Raises:
            UnibusError: The adapter gave up for good; translated by *adapter*.
        """
        failure = self.failure
        if isinstance(failure, UnibusError):
            raise failure.with_traceback(None)
        if failure is not None:
            raise adapter.translate(failure) from failure

    def grab(self) -> Taken | None:
        """Return the batch to hand out from; ``None`` if dry.

        When it is dry, everything that was settled has been handed over, and *wake* is called as
        soon as there is something.
        """
        self.home = threading.get_ident()
        while not (self._is_paused or self._is_closing):
            current = self._current
            if current is not None:
                if current.next < current.size:
                    return current
                self._current = None
                self.settlements.leave(current)
            incoming = self.receiver.take()
            if incoming is None:
                break
            self._current = taken = self.settlements.admit(incoming)
            if self._renewal is not None:
                self._renewal.watch(taken)
        self.settlements.hand_over()
        return None

    def startable(self, taken: Taken, index: int) -> int:
        """Return which of a stale batch may be handed out next, from *index*; -1 if none is."""
        if self._is_paused or self._is_closing:
            taken.next = index
            return -1
        return self.settlements.startable(taken, index)

    def slice(self, taken: Taken, limit: int) -> tuple[int, int]:
        """Hand out the next deliveries of *taken*, at most *limit*, as a range; perhaps none."""
        first = taken.next
        taken.next = stop = min(first + limit, taken.limit)
        if not taken.stale:
            return first, stop
        taken.next = first
        first = self.startable(taken, first)
        if first < 0:
            return 0, 0
        stop = first + 1
        while stop - first < limit and taken.next < taken.limit:
            following = self.startable(taken, stop)
            if following != stop:
                if following > 0:
                    taken.next = following
                break
            stop += 1
        return first, stop

    def pause(self, *, give_back: bool) -> None:
        """Hand out nothing until ``resume``, and take nothing in."""
        self._is_paused = True
        self._stop_handing_out()
        self.receiver.pause(give_back)

    def resume(self) -> None:
        """Hand out again."""
        self._is_paused = False
        self.receiver.resume()
        self._wake()

    @override
    def ready(self) -> None:
        self._wake()

    @override
    def verdicts(self) -> Sequence[Verdict]:
        return self.settlements.pull()

    @override
    def settled(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
        self.settlements.answered(ticket, first, count, outcome)

    @override
    def revoking(self, leases: Sequence[Lease], budget_s: float) -> None:
        ending = frozenset(map(id, leases))
        for lease in leases:
            lease.stopping = True
        batches = [
            taken
            for taken in self.settlements.live()
            if any(id(each.lease) in ending for each in taken.incoming.leases())
        ]
        self.settlements.stale(*batches)
        # On the thread that handles deliveries nothing can be settled while this waits.
        if budget_s > 0 and threading.get_ident() != self.home:
            self.settlements.watches.wait(
                lambda: not any(taken.is_running(ending) for taken in batches), budget_s
            )
        self.settlements.hand_over()

    @override
    def lost(self, leases: Sequence[Lease], cause: Exception) -> None:
        for lease in leases:
            if lease.lost is None:
                lease.lost = cause
        self.settlements.drop_lost()

    @override
    def state(self, state: Link, cause: Exception | None) -> None:
        name = self.settlements.rules.subscription
        if state is Link.FATAL:
            self.failure = cause or ClosedError(f"the adapter gave up on {name}")
        level, event, text = _LINKS[state]
        about = observe.fields(event, subscription=name)
        _log.log(level, text, name, type(cause).__name__, extra=about)
        self._wake()

    def stop(self) -> None:
        """Hand out nothing any more."""
        self._is_closing = True
        self._stop_handing_out()

    def close(self, timeout_s: float, *, waits: bool) -> None:
        """Stop handing out, settle, give back the rest; one budget for all of it.

        A second call waits for the first. With *waits*, deliveries that were handed out to other
        threads have half of the time to be settled.

        Raises:
            DeadlineExceededError: A close on another thread takes longer than *timeout_s*.
        """
        budget = Budget(self._clock, timeout_s)
        self.stop()
        if not self._closing.acquire(timeout=timeout_s):
            raise DeadlineExceededError(
                f"another close() of the consumer of {self.settlements.rules.subscription} has not"
                f" returned within {timeout_s:g} s"
            )
        try:
            if self.settlements.ended is None:
                self._close(budget, timeout_s, waits=waits)
        finally:
            self._closing.release()

    def _close(self, budget: Budget, timeout_s: float, *, waits: bool) -> None:
        settlements = self.settlements
        name = settlements.rules.subscription
        if waits:
            settlements.watches.wait(
                lambda: not any(taken.is_running() for taken in settlements.live()),
                timeout_s * _HANDLERS_SHARE,
            )
        settlements.watches.wait(settlements.flush(), budget.left_s * _BARRIER_SHARE)
        gone = LeaseLostError(f"the consumer of {name} was closed before the delivery was settled")
        settlements.end(spi.lease_lost(gone))
        if self._renewal is not None:
            self._renewal.close()
        try:
            self.receiver.close(budget.left_s)
        finally:
            cause = DeadlineExceededError(
                f"the consumer of {name} was closed before the broker had confirmed the settlement"
            )
            unanswered = settlements.abandon(spi.unknown(cause))
            error = settlements.take_late().error(name)
            if error is not None or unanswered:
                _log.warning(
                    "closed the consumer of %s: %d settlements not confirmed; %s",
                    name,
                    unanswered,
                    error or "none came too late",
                )

    def _stop_handing_out(self) -> None:
        current = self._current
        batches = self.settlements.live()
        self.settlements.stale(*batches, *([] if current is None else [current]))
        self.settlements.watches.look()
        self._wake()
