"""Keeps leases of deliveries that the program is done with and an emulation is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from unibus.clock import Clock, Timer
from unibus.spi import Incoming, Verdict, VerdictKind

_TICKS_PER_LEASE = 3


class LeaseKeeper:
    """Extends leases in time, each three times in its life; safe from any thread.

    Args:
        clock: Calls back when it is time.
        lease_s: How long to extend by; ``None`` if leases cannot be extended: nothing is done.
        settle: Takes the extensions.
    """

    def __init__(
        self, clock: Clock, lease_s: float | None, settle: Callable[[Sequence[Verdict]], None]
    ) -> None:
        self._clock = clock
        self._lease_s = lease_s
        self._settle = settle
        self._lock = threading.Lock()
        self._kept: dict[tuple[object, int], Incoming] = {}
        self._timer: Timer | None = None

    def keep(self, batch: Incoming, index: int) -> None:
        """Keep the lease of delivery *index* from running out until ``forget``."""
        if self._lease_s is None or batch.lease(index).deadline is None:
            return
        with self._lock:
            self._kept[batch.ticket, index] = batch
            if self._timer is None:
                self._arm(self._lease_s)
        if extension := self._extension(batch, index, self._lease_s, 1 / _TICKS_PER_LEASE):
            self._settle([extension])

    def forget(self, ticket: object, index: int) -> None:
        """Let the lease of delivery *index* be; quiet if it was not kept."""
        with self._lock:
            self._kept.pop((ticket, index), None)

    def close(self) -> None:
        """Let every lease be."""
        with self._lock:
            self._kept.clear()
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _arm(self, lease_s: float) -> None:
        when = self._clock.now() + lease_s / _TICKS_PER_LEASE
        self._timer = self._clock.call_at(when, self._tick)

    def _tick(self) -> None:
        lease_s = self._lease_s
        with self._lock:
            kept = list(self._kept.items())
            self._timer = None
            if not kept or lease_s is None:
                return
            self._arm(lease_s)
        # What has less than two ticks left would have none to spare at the next one.
        share = 2 / _TICKS_PER_LEASE
        found = (self._extension(batch, index, lease_s, share) for (_, index), batch in kept)
        if extensions := [each for each in found if each is not None]:
            self._settle(extensions)

    def _extension(
        self, batch: Incoming, index: int, lease_s: float, share: float
    ) -> Verdict | None:
        lease = batch.lease(index)
        if lease.lost is not None or lease.deadline is None:
            return None
        if lease.deadline - self._clock.now() > lease_s * share:
            return None
        return Verdict(batch.ticket, index, 1, VerdictKind.EXTEND, lease_s)
