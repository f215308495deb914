"""Receives from the broker in this process; every settlement takes effect at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

from typing_extensions import override

from unibus.spi import (
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
    Verdict,
    VerdictKind,
    lease_lost,
)
from unibus_memory.broker import MemoryBroker
from unibus_memory.machine.shared import Held
from unibus_memory.machine.topics import SubscriptionState
from unibus_memory.wire import MemoryIncoming


class MemoryReceiver(Receiver):
    """One consumer of a shared subscription."""

    def __init__(
        self,
        broker: MemoryBroker,
        spec: Subscription,
        flow: Flow,
        events: Events,
        promises: Capabilities,
    ) -> None:
        self._broker = broker
        self._spec = spec
        self._flow = flow
        self._events = events
        self._counts_releases = promises.release.value == "counted"
        self._counts = bool(promises.attempts)
        default_s = promises.lease.value.default_s
        self._lease_s = spec.lease_s if spec.lease_s is not None else default_s
        self._lock = threading.Lock()
        self._held: dict[Held, int] = {}
        self._unsettled = 0
        self._is_dry = False
        self._is_paused = False
        self._is_closed = False
        broker.join(spec.name, self)

    @override
    def take(self) -> Incoming | None:
        if self._is_paused or self._is_closed:
            self._is_dry = True
            return None
        limit = min(self._flow.max_batch, self._flow.max_unsettled - self._unsettled)
        # Dry before the look: what is published after it then wakes this consumer.
        self._is_dry = True
        held = self._broker.take(self._spec.name, limit, self._lease_s) if limit > 0 else None
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
            held.lease.lost = LeaseLostError("the consumer was closed")
            self._broker.change(self._spec.name, partial(self._return, held))
            return None
        if (deadline := held.lease.deadline) is not None:
            self._watch(held, deadline)
        return MemoryIncoming(held, counts=self._counts)

    @override
    def settle(self, verdicts: Sequence[Verdict]) -> None:
        for verdict in verdicts:
            held = verdict.ticket
            if not isinstance(held, Held):
                raise TypeError(f"a ticket of another receiver: {held!r}")
            self._settle(held, verdict)

    @override
    def barrier(self) -> None:
        """Every settlement has taken effect already."""

    @override
    def pause(self, give_back: bool = False) -> None:
        self._is_paused = True
        if give_back:
            cause = LeaseLostError("the consumer was paused and gave back what it held")
            if leases := self._give_back(cause):
                self._events.lost(leases, cause)

    @override
    def resume(self) -> None:
        self._is_paused = False
        self.wake()

    @override
    def close(self, timeout_s: float) -> None:
        with self._lock:
            self._is_closed = True
        self._broker.leave(self._spec.name, self)
        self._give_back(LeaseLostError("the consumer was closed"))

    @property
    def is_waiting(self) -> bool:
        """Whether it found nothing, and wants to hear of what comes."""
        return self._is_dry and not self._is_paused and not self._is_closed

    def wake(self) -> None:
        """Tell the core that there is something to take, if it waits for it."""
        if self.is_waiting:
            self._is_dry = False
            self._events.ready()

    def lose(self, leases: Sequence[Lease], cause: Exception) -> None:
        """Drop what was held here under these leases, and tell the core."""
        ended = frozenset(map(id, leases))
        with self._lock:
            lost = {held: count for held, count in self._held.items() if id(held.lease) in ended}
        for held, count in lost.items():
            self._forget(held, count)
        if lost:
            self._events.lost([held.lease for held in lost], cause)
            self.wake()

    def link(self, state: Link, cause: Exception | None) -> None:
        """Pass on that the broker went down or came up."""
        self._events.state(state, cause)

    def _settle(self, held: Held, verdict: Verdict) -> None:
        kind = verdict.kind
        if (cause := held.lease.lost) is not None:
            self._report(held, verdict, lease_lost(LeaseLostError(str(cause))))
            return
        if kind is VerdictKind.EXTEND:
            held.lease.deadline = self._broker.clock.now() + verdict.delay_s
            self._watch(held, held.lease.deadline)
            return
        took_effect = self._broker.change(
            self._spec.name, lambda state, now: self._apply(state, now, held, verdict)
        )
        if not took_effect:
            cause = held.lease.lost or LeaseLostError("the subscription was deleted")
            self._report(held, verdict, lease_lost(LeaseLostError(str(cause))))
            return
        self._forget(held, verdict.count)
        self._report(held, verdict, SETTLED)
        self.wake()

    def _apply(self, state: SubscriptionState, now: float, held: Held, verdict: Verdict) -> bool:
        # Looked at again under the broker's lock: the lease may just have run out.
        if held.lease.lost is not None:
            return False
        first, count, delay_s = verdict.first, verdict.count, verdict.delay_s
        if verdict.kind in (VerdictKind.ACK, VerdictKind.REJECT):
            state.messages.done(held, first, count)
            return True
        counted = verdict.kind is VerdictKind.NACK or self._counts_releases
        state.messages.back(held, first, count, counted=counted, delay_s=delay_s, now=now)
        return True

    def _report(self, held: Held, verdict: Verdict, outcome: Outcome) -> None:
        self._events.settled(held, verdict.first, verdict.count, outcome)

    def _forget(self, held: Held, count: int) -> None:
        with self._lock:
            left = self._held.get(held, 0) - count
            self._unsettled -= min(count, self._held.get(held, 0))
            if left > 0:
                self._held[held] = left
            else:
                self._held.pop(held, None)

    def _give_back(self, cause: Exception) -> list[Lease]:
        with self._lock:
            held_now, self._held, self._unsettled = list(self._held), {}, 0
        for held in held_now:
            held.lease.lost = cause
            self._broker.change(self._spec.name, partial(self._return, held))
        return [held.lease for held in held_now]

    def _return(self, held: Held, state: SubscriptionState, now: float) -> bool:
        counted = self._counts_releases
        state.messages.back(held, 0, len(held), counted=counted, delay_s=0, now=now)
        return True

    def _watch(self, held: Held, deadline: float) -> None:
        clock = self._broker.clock
        clock.call_at(deadline, lambda: self._broker.expire(self._spec.name, held, self))
