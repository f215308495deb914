"""Connections that are not what they were after the way to the broker was interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic

from typing_extensions import override

from unibus.spi import (
    Adapter,
    Binding,
    Clock,
    Events,
    Incoming,
    Link,
    Receiver,
    Verdict,
    VerdictKind,
)
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, EventsWrap, ReceiverWrap
from unibus_contract.zoo.saboteur import saboteur

_SHORT_S = 2.6  # less than it takes any broker to be started
_DOZES_S = 1.5


@saboteur(
    "The first batch that is received after a short interruption is lost.",
    "LIF-16",
    "LIF-17",
    "LIF-51",
    "LIF-67",
    harness="rabbitmq",
    profile="rabbitmq",
)
class LosesTheFirstBatchAfterwards(AdapterWrap):
    """It is taken for a repetition of what had been there before, and acked."""

    class _Watching(EventsWrap):
        down_since: float | None = None
        is_due = False

        @override
        def state(self, state: Link, cause: Exception | None) -> None:
            if state is Link.DOWN:
                self.down_since = monotonic()
            elif self.down_since is not None:
                self.is_due = monotonic() - self.down_since < _SHORT_S
            super().state(state, cause)

    class _Losing(ReceiverWrap):
        def __init__(self, inner: Receiver, seen: LosesTheFirstBatchAfterwards._Watching) -> None:
            super().__init__(inner)
            self._seen = seen

        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            if taken is not None and self._seen.is_due:
                self._seen.is_due = False
                self.settle([Verdict(taken.ticket, 0, len(taken), VerdictKind.ACK)])
                return super().take()
            return taken

    @override
    def events(self, events: Events, binding: Binding) -> Events:
        self._seen = self._Watching(events)
        return self._seen

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Losing(receiver, self._seen)


@saboteur(
    "Connecting takes a second and a half longer than it may.",
    "LIF-19",
    "LIF-62",
    harness="rabbitmq",
    profile="rabbitmq",
)
def dozes_while_it_connects(broker: BrokerUnderTest) -> BrokerUnderTest:
    """As clients do whose own time-out is the one that counts."""

    class Dozing(OverWrapped):
        @override
        def adapter(
            self, url: str, options: Mapping[str, object], *, clock: Clock, timeout_s: float
        ) -> Adapter:
            return super().adapter(url, options, clock=clock, timeout_s=timeout_s + _DOZES_S)

    return Dozing(broker, lambda adapter: adapter)


@saboteur(
    "A consumer that had received nothing yet when its connection broke is deaf.",
    "LIF-51",
    harness="rabbitmq",
    profile="rabbitmq",
)
class IsDeafIfItWasIdle(AdapterWrap):
    """It is connected again, and consumes nothing."""

    @override
    def events(self, events: Events, binding: Binding) -> Events:
        self._memory = _Memory()
        return _Remembering(events, self._memory)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return _Deaf(receiver, self._memory)


class _Memory:
    """What the two halves of one consumer know of each other."""

    def __init__(self) -> None:
        self.has_received = False
        self.is_deaf = False


class _Remembering(EventsWrap):
    def __init__(self, inner: Events, memory: _Memory) -> None:
        super().__init__(inner)
        self._memory = memory

    @override
    def state(self, state: Link, cause: Exception | None) -> None:
        if state is Link.DOWN and not self._memory.has_received:
            self._memory.is_deaf = True
        super().state(state, cause)


class _Deaf(ReceiverWrap):
    def __init__(self, inner: Receiver, memory: _Memory) -> None:
        super().__init__(inner)
        self._memory = memory

    @override
    def take(self) -> Incoming | None:
        if self._memory.is_deaf:
            return None
        taken = super().take()
        self._memory.has_received = self._memory.has_received or taken is not None
        return taken
