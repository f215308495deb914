"""Leases that are kept while the program works, and those that run out."""

from __future__ import annotations

from collections.abc import Iterator

from unibus import observe
from unibus.clock import Clock
from unibus.engine.ledger import Range
from unibus.engine.settlements import Settlements
from unibus.engine.taken import Taken
from unibus.engine.timers import Alarm
from unibus.spi import Lease, Verdict, VerdictKind

_log = observe.logger("consumer")

_FEWEST_TRIES = 8  # in a lease's life, while the broker does not answer


class Renewal:
    """Extends leases at half of their time, and lets nothing start under those that ran out.

    One timer for all of them. When an extension fails, the adapter says that the lease is lost.

    Args:
        clock: Tells the time and calls back.
        lease_s: How long to extend by; ``None`` if leases are not extended, only watched.
        settlements: Knows what is unsettled, and passes the extensions on.
    """

    def __init__(self, clock: Clock, lease_s: float | None, settlements: Settlements) -> None:
        self._clock = clock
        self._lease_s = lease_s
        self._settlements = settlements
        self._alarm = Alarm(clock, self._look)

    def watch(self, taken: Taken) -> None:
        """Keep the leases of *taken* while something under them is unsettled."""
        for _, _, lease in taken.incoming.leases():
            if lease.deadline is not None:
                self._alarm.set(self._next_look(lease.deadline))

    def close(self) -> None:
        """Let every lease be."""
        self._alarm.close()

    def _next_look(self, deadline: float) -> float:
        if self._lease_s is None:
            return deadline
        half = deadline - self._lease_s / 2
        now = self._clock.now()
        # An extension that is not answered yet has not moved the deadline: try again, not at once.
        return half if now < half else min(now + self._lease_s / _FEWEST_TRIES, deadline)

    def _look(self) -> None:
        now = self._clock.now()
        verdicts: list[Verdict] = []
        held = list(self._held())
        for taken, ranges, lease, deadline in held:
            if deadline <= now:
                _log.warning("a lease ran out before its deliveries were settled: %s", lease.scope)
                lease.stopping = True
                self._settlements.stale(taken)
            elif self._lease_s is not None and now >= deadline - self._lease_s / 2:
                verdicts += [
                    Verdict(
                        taken.incoming.ticket,
                        first,
                        stop - first,
                        VerdictKind.EXTEND,
                        self._lease_s,
                    )
                    for first, stop in ranges
                ]
        self._settlements.send(verdicts)
        for _, _, lease, _ in held:
            # Looked up again: the extension may have moved it.
            if lease.deadline is not None and lease.deadline > now:
                self._alarm.set(self._next_look(lease.deadline))

    def _held(self) -> Iterator[tuple[Taken, list[Range], Lease, float]]:
        """Yield the leases that hold and end some time, with what is unsettled under them."""
        for taken in self._settlements.live():
            for first, length, lease in taken.incoming.leases():
                if lease.deadline is None or lease.lost is not None or lease.stopping:
                    continue
                if ranges := list(taken.unsettled(first, first + length)):
                    yield taken, ranges, lease, lease.deadline
