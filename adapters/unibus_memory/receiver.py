"""Receives from the broker in this process; every settlement takes effect at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from typing_extensions import override

from unibus.spi import (
    SENT,
    SETTLED,
    Capabilities,
    Events,
    Flow,
    Incoming,
    Lease,
    LeaseLostError,
    Link,
    Outcome,
    Receiver,
    Subscription,
    Support,
    UnibusError,
    Verdict,
    VerdictKind,
    lease_lost,
    unknown,
)
from unibus_memory.broker import MemoryBroker
from unibus_memory.machine.chooser import PLAIN, Freedom
from unibus_memory.machine.held import Held, Loss
from unibus_memory.machine.store import Settled
from unibus_memory.wire import MemoryIncoming

_PATIENCE_S: Final = 0.25  # for handlers that are about to end: then nobody hears of it


class MemoryReceiver(Receiver):
    """One consumer of a subscription."""

    _is_log = False

    def __init__(
        self,
        broker: MemoryBroker,
        spec: Subscription,
        flow: Flow,
        events: Events,
        promises: Capabilities,
    ) -> None:
        self._broker = broker
        self._consumers = broker.consumers
        self._chooser = broker.chooser
        self._spec = spec
        self._name = spec.name
        self._flow = flow
        self._events = events
        self._counts_releases = promises.release.value == "counted" and bool(promises.release)
        self._counts = bool(promises.attempts)
        self._confirms = promises.ack_confirmed.support is Support.NATIVE
        self._commits = bool(promises.ack_confirmed)
        default_s = promises.lease.value.default_s
        self._lease_s = spec.lease_s if spec.lease_s is not None else default_s
        self._lock = threading.Lock()
        self._held: dict[Held, int] = {}
        self._unsettled = 0
        self._unconfirmed: list[Settled] = []
        self._unsettled_yet: list[tuple[Held, Verdict]] = []
        self._is_dry = False
        self._is_paused = False
        self._is_resting = False
        self._is_closed = False

    def open(self, timeout_s: float) -> None:
        """Take part; waits for the handlers of those that lose a share of the work by it.

        Raises:
            NotFoundError: The subscription does not exist.
            UnsupportedError: There is no place for another one.
        """
        self._broker.offers.catch_up()
        self._consumers.join(self._name, self, min(_PATIENCE_S, timeout_s / 2))

    @override
    def take(self) -> Incoming | None:
        if self._is_paused or self._is_closed:
            self._is_dry = True
            return None
        if self._chooser is not PLAIN:
            self._suffer()
        limit = min(self._flow.max_batch, self._flow.max_unsettled - self._unsettled)
        # Dry before the look: what is published after it then wakes this consumer.
        self._is_dry = True
        if limit <= 0:
            return None
        self._broker.offers.catch_up()
        held = self._consumers.take(self._name, self, limit, self._lease_s)
        if held is None:
            return None
        self._is_dry = False
        with self._lock:
            # Closed by another thread meanwhile: nobody else would give this batch back.
            is_late = self._is_closed
            if not is_late:
                self._held[held] = len(held)
                self._unsettled += len(held)
        if is_late:
            self._consumers.leave(self._name, self, (held,), counted=self._counts_releases)
            return None
        return MemoryIncoming(held, counts=self._counts, is_log=self._is_log)

    @override
    def settle(self, verdicts: Sequence[Verdict]) -> None:
        for verdict in verdicts:
            held = verdict.ticket
            if not isinstance(held, Held):
                raise TypeError(f"a ticket of another receiver: {held!r}")
            self._settle(held, verdict)
        self.wake()

    @override
    def barrier(self) -> None:
        self._arrive()
        self._confirm(SETTLED)
        for each in self._consumers.uncovered(self._name, self):
            self._report(*each, SENT)

    @override
    def pause(self, give_back: bool = False) -> None:
        self._is_paused = True
        if give_back:
            self._is_resting = True
            cause = LeaseLostError("the consumer was paused and gave back what it held")
            counted = self._counts_releases
            held = tuple(self._held)
            self.lose(self._consumers.give_back(self._name, self, held, cause, counted=counted))

    @override
    def resume(self) -> None:
        self._is_paused = False
        if self._is_resting:
            self._is_resting = False
            self._consumers.join(self._name, self, 0.0)
        self.wake()

    @override
    def is_idle(self) -> bool:
        return self._consumers.is_idle(self._name, self)

    @override
    def close(self, timeout_s: float) -> None:
        self._arrive()
        with self._lock:
            self._is_closed = True
            held, self._held, self._unsettled = tuple(self._held), {}, 0
        self._confirm(SETTLED)
        self._consumers.leave(self._name, self, held, counted=self._counts_releases)

    # What the broker tells.

    @property
    def is_waiting(self) -> bool:
        """Whether it found nothing, and wants to hear of what comes."""
        return self._is_dry and not self._is_paused and not self._is_closed

    def wake(self) -> None:
        """Tell the core that there is something to take, if it waits for it."""
        if not self.is_waiting:
            return
        if self._chooser.uses(Freedom.LATE):
            clock = self._broker.clock
            clock.call_at(clock.now() + self._chooser.delay_s(), self._ready)
        else:
            self._ready()

    def _ready(self) -> None:
        if self.is_waiting:
            self._is_dry = False
            self._events.ready()

    def revoking(self, leases: Sequence[Lease], budget_s: float) -> None:
        """Let the core finish what it works on under *leases*."""
        self._events.revoking(leases, budget_s)

    def lose(self, losses: Sequence[Loss]) -> None:
        """Drop what was held here, and tell the core."""
        leases: dict[Lease, None] = {}
        for held, lease, taken, unconfirmed in losses:
            with self._lock:
                is_ours = held in self._held
            if not is_ours and not unconfirmed:
                continue
            self._forget(held, taken)
            leases[lease] = None
            for first, length in unconfirmed:
                self._report(held, first, length, _too_late(lease))
        cause = next((lease.lost for lease in leases), None)
        if cause is not None:
            self._events.lost(tuple(leases), cause)
            self.wake()

    def link(self, state: Link, cause: Exception | None) -> None:
        """Pass on that the broker went down or came up."""
        if state is Link.DOWN and isinstance(cause, UnibusError):
            with self._lock:
                lost, self._unsettled_yet = self._unsettled_yet, []
                self._unconfirmed += [(held, each.first, each.count) for held, each in lost]
            self._confirm(unknown(cause))
        self._events.state(state, cause)

    # Settling.

    def _suffer(self) -> None:
        """Let the chooser do to this consumer what can happen to it."""
        if self._broker.breaks(self._spec) and self._chooser.uses(Freedom.DISCONNECT):
            with self._lock:
                held = tuple(self._held)
            self._consumers.drop(self._name, self, held)
        self._arrive()

    def _arrive(self) -> None:
        """Let those settlements take effect that are on their way."""
        with self._lock:
            late, self._unsettled_yet = self._unsettled_yet, []
        for held, verdict in late:
            settled = self._do(held, verdict)
            if settled is None:
                lease = held.lease(verdict.first)
                self._report(held, verdict.first, verdict.count, _too_late(lease))
            else:
                with self._lock:
                    self._unconfirmed += settled

    def _is_delayed(self, held: Held, verdict: Verdict) -> bool:
        """Return whether a settlement is on its way longer, as one without an answer can be."""
        if self._confirms or self._commits or verdict.kind is VerdictKind.EXTEND:
            return False
        if held.lease(verdict.first).lost is not None:
            return False
        # What follows on the same connection arrives no sooner.
        if not self._unsettled_yet and not self._chooser.uses(Freedom.UNSETTLED):
            return False
        with self._lock:
            self._unsettled_yet.append((held, verdict))
        self._report(held, verdict.first, verdict.count, SENT)
        return True

    def _do(self, held: Held, verdict: Verdict) -> Sequence[Settled] | None:
        counted = self._counts_releases
        settled = self._consumers.settle(self._name, held, verdict, counted=counted)
        if settled is not None and verdict.kind is not VerdictKind.EXTEND:
            self._forget(held, verdict.count)
        return settled

    def _settle(self, held: Held, verdict: Verdict) -> None:
        first, count = verdict.first, verdict.count
        if self._is_delayed(held, verdict):
            return
        settled = self._do(held, verdict)
        if settled is None:
            self._report(held, first, count, _too_late(held.lease(first)))
            return
        if verdict.kind is VerdictKind.EXTEND:
            return
        if self._confirms:
            for each in settled:
                self._report(*each, SETTLED)
            return
        # In this order: a barrier on another thread must not pass between the two.
        with self._lock:
            self._unconfirmed += settled
        self._report(held, first, count, SENT)
        if self._commits:
            self._confirm(SETTLED)

    def _confirm(self, outcome: Outcome) -> None:
        with self._lock:
            unconfirmed, self._unconfirmed = self._unconfirmed, []
        for each in unconfirmed:
            self._report(*each, outcome)

    def _report(self, held: Held, first: int, count: int, outcome: Outcome) -> None:
        self._events.settled(held, first, count, outcome)

    def _forget(self, held: Held, count: int) -> None:
        with self._lock:
            had = self._held.get(held, 0)
            self._unsettled -= min(count, had)
            if had > count:
                self._held[held] = had - count
            else:
                self._held.pop(held, None)


def _too_late(lease: Lease) -> Outcome:
    why = lease.lost or "the subscription was deleted"
    return lease_lost(LeaseLostError(f"the settlement came too late: {why}"))
