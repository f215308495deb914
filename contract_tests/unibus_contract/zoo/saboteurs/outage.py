"""Adapters that do not bear what happens to their broker."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from typing_extensions import override

from unibus.errors import ConnectionLostError, LeaseLostError
from unibus.outcome import ACCEPTED, SETTLED, Outcome, OutcomeKind, lease_lost
from unibus.spi import (
    Binding,
    Events,
    Incoming,
    Lease,
    LeaseRange,
    Link,
    Outgoing,
    Receiver,
    Source,
    Verdict,
    VerdictKind,
)
from unibus_contract.wrap import AdapterWrap, EventsWrap, IncomingWrap, ReceiverWrap, SourceWrap
from unibus_contract.zoo.saboteur import saboteur

_LONG_S = 0.5


@saboteur(
    "A settlement that is answered after half a second is called too late.",
    "LIF-50",
    harness="rabbitmq",
    profile="rabbitmq",
)
class HasNoPatience(AdapterWrap):
    """Although the lease held all the time."""

    class _Timing(ReceiverWrap):
        def __init__(self, inner: Receiver, given: dict[tuple[object, int], float]) -> None:
            super().__init__(inner)
            self._given = given

        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            for each in verdicts:
                if each.kind is not VerdictKind.EXTEND:
                    for index in range(each.first, each.first + each.count):
                        self._given[each.ticket, index] = monotonic()
            super().settle(verdicts)

    class _Impatient(EventsWrap):
        def __init__(self, inner: Events, given: dict[tuple[object, int], float]) -> None:
            super().__init__(inner)
            self._given = given

        @override
        def settled(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
            for index in range(first, first + count):
                took_s = monotonic() - self._given.get((ticket, index), monotonic())
                is_late = outcome.kind is OutcomeKind.SETTLED and took_s > _LONG_S
                late = lease_lost(LeaseLostError("the broker took too long to answer"))
                self.inner.settled(ticket, index, 1, late if is_late else outcome)

    @override
    def events(self, events: Events, binding: Binding) -> Events:
        self._given: dict[tuple[object, int], float] = {}
        return self._Impatient(events, self._given)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Timing(receiver, self._given)


@saboteur("A consumer that has lived through two restarts is deaf.", "LIF-63")
class IsDeafAfterTheSecondRestart(AdapterWrap):
    """Its handle was good for one reconnection."""

    class _Counting(EventsWrap):
        restarts = 0

        @override
        def state(self, state: Link, cause: Exception | None) -> None:
            self.restarts += state is Link.DOWN
            super().state(state, cause)

    class _Deaf(ReceiverWrap):
        def __init__(self, inner: Receiver, events: IsDeafAfterTheSecondRestart._Counting) -> None:
            super().__init__(inner)
            self._events = events

        @override
        def take(self) -> Incoming | None:
            return None if self._events.restarts > 1 else super().take()

    @override
    def events(self, events: Events, binding: Binding) -> Events:
        self._counting = self._Counting(events)
        return self._counting

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Deaf(receiver, self._counting)


@saboteur(
    "While publishing is blocked, consuming is.",
    "LIF-64",
    harness="rabbitmq",
    profile="rabbitmq",
)
class BlocksBothWays(AdapterWrap):
    """Both share a connection that the broker does not read from."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]  # an adapter
        self._is_blocked = False
        self._waiting: list[Events] = []

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        adapter = self

        class Telling(SourceWrap):
            @override
            def state(self, state: Link, cause: Exception | None) -> None:
                adapter._is_blocked = state is Link.DOWN
                for each in adapter._waiting if state is Link.UP else ():
                    each.ready()
                super().state(state, cause)

        return Telling(source)

    @override
    def events(self, events: Events, binding: Binding) -> Events:
        self._waiting.append(events)
        return events

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        adapter = self

        class Blocked(ReceiverWrap):
            @override
            def take(self) -> Incoming | None:
                return None if adapter._is_blocked else super().take()

        return Blocked(receiver)


@saboteur(
    "What was on its way when the connection broke is called accepted.",
    "LIF-65",
    "PUB-54",
    harness="rabbitmq",
    profile="rabbitmq",
    may_break={
        "LIF-14": "some of it may have been on its way",
        "LIF-16": "some of it may have been on its way",
        "LIF-63": "some of it may have been on its way",
    },
)
class BelievesInTheNetwork(AdapterWrap):
    """It was written to a socket, after all."""

    class _Believing(SourceWrap):
        @override
        def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
            is_lost = isinstance(outcome.cause, ConnectionLostError)
            super().completed(batch, first, count, ACCEPTED if is_lost else outcome)

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Believing(source)


@saboteur("A settlement under a lease that was taken back is called settled.", "LIF-66")
class NeverHearsThatALeaseIsLost(AdapterWrap):
    """The broker ignores what comes too late, and nobody looks at that answer."""

    class _Held(IncomingWrap):
        @override
        def leases(self) -> Sequence[LeaseRange]:
            return [
                LeaseRange(each.first, each.length, Lease(each.lease.scope))
                for each in super().leases()
            ]

    class _Holding(ReceiverWrap):
        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            return None if taken is None else NeverHearsThatALeaseIsLost._Held(taken)

    class _Hiding(EventsWrap):
        @override
        def settled(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
            is_lost = outcome.kind is OutcomeKind.LEASE_LOST
            super().settled(ticket, first, count, SETTLED if is_lost else outcome)

        @override
        def lost(self, leases: Sequence[Lease], cause: Exception) -> None:
            """So that nobody is disturbed."""

    @override
    def events(self, events: Events, binding: Binding) -> Events:
        return self._Hiding(events)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Holding(receiver)
