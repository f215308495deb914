"""Leases that are not what they are said to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from typing_extensions import override

from unibus import Bus, Consumer
from unibus.outcome import SETTLED, Outcome, OutcomeKind
from unibus.spi import (
    Binding,
    Events,
    Flow,
    Incoming,
    Lease,
    LeaseRange,
    Receiver,
    Subscription,
    Verdict,
    VerdictKind,
)
from unibus_contract.wrap import AdapterWrap, EventsWrap, IncomingWrap, ReceiverWrap
from unibus_contract.zoo.deliveries import BusWithDeliveries, ConsumerFacade, DeliveryFacade
from unibus_contract.zoo.saboteur import saboteur
from unibus_contract.zoo.saboteurs.confirming import is_lost


class _Heirs(ConsumerFacade):
    """Knows who has each message now."""

    made: ClassVar[type[_Late]]

    def __init__(self, inner: Any, bus: BusWithDeliveries) -> None:  # noqa: ANN401  # a consumer
        super().__init__(inner, bus)
        self.newest: dict[str, Any] = {}

    @override
    def delivery(self, inner: Any) -> DeliveryFacade:
        self.newest[inner.id] = inner
        return self.made(inner, self.newest)


class _Late(DeliveryFacade):
    def __init__(self, inner: Any, newest: dict[str, Any]) -> None:  # noqa: ANN401  # a delivery
        super().__init__(inner)
        self._newest = newest

    @property
    def heir(self) -> Any:  # noqa: ANN401  # a delivery
        """Whoever has the message if this one has lost it."""
        newest = self._newest[self.inner.id]
        return newest if is_lost(self.inner) and newest is not self.inner else None


class _LateAck(_Late):
    def ack(self) -> None:
        if self.heir is not None and self.heir.outcome is None:
            self.heir.ack()
        self.inner.ack()


class _LateNack(_Late):
    def nack(self, delay_s: float = 0.0) -> None:
        if self.heir is not None and self.heir.outcome is None:
            self.heir.nack(delay_s)
        self.inner.nack(delay_s)


@saboteur("An ack that comes too late settles the delivery of whoever has it now.", "ACK-50")
class AcksForItsHeir(BusWithDeliveries):
    """As brokers do that know a message by its id alone."""

    class _Consumer(_Heirs):
        made = _LateAck

    receiving = _Consumer


@saboteur("A nack that comes too late nacks the delivery of whoever has it now.", "RED-56")
class NacksForItsHeir(BusWithDeliveries):
    """As brokers do that know a message by its id alone."""

    class _Consumer(_Heirs):
        made = _LateNack

    receiving = _Consumer


@saboteur("A delivery is given to another when half of its lease is over.", "RED-11")
class HalvesTheLease(AdapterWrap):
    """Counts the lease from somewhere else than the consumer."""

    @override
    def open_receiver(
        self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
    ) -> Receiver:
        spec = binding.spec
        if isinstance(spec, Subscription) and spec.lease_s is not None:
            binding = replace(binding, spec=replace(spec, lease_s=spec.lease_s / 2))
        return super().open_receiver(binding, flow, events, timeout_s=timeout_s)


@saboteur("Leases are not renewed.", "RED-12")
class RenewsNothing(Bus):
    """Leaves it to the program."""

    @override
    def consumer(self, *arguments: Any, **settings: Any) -> Consumer:
        return super().consumer(*arguments, **{**settings, "renew_leases": False})


@saboteur("From the third on, extensions have no effect.", "RED-12", "RED-52")
class ExtendsTwiceAtMost(AdapterWrap):
    """Drops them without a word."""

    class _Tiring(ReceiverWrap):
        extensions = 0

        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            passed = []
            for each in verdicts:
                self.extensions += each.kind is VerdictKind.EXTEND
                if each.kind is not VerdictKind.EXTEND or self.extensions <= 2:
                    passed.append(each)
            super().settle(passed)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Tiring(receiver)


@saboteur("Of a batch of ten, nobody is told that its lease ends.", "RED-54")
class SaysNothingOfTheEnd(AdapterWrap):
    """So that what has waited too long is handed out all the same."""

    class _Endless(IncomingWrap):
        @override
        def leases(self) -> Sequence[LeaseRange]:
            return [LeaseRange(0, len(self), self._lease)]

        _lease = Lease("without an end")

    class _Receiver(ReceiverWrap):
        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            if taken is None or len(taken) != 10 or taken.leases()[0].lease.deadline is None:
                return taken
            return SaysNothingOfTheEnd._Endless(taken)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Receiver(receiver)


@saboteur("The last ack before a close stays behind.", "ACK-60")
class KeepsTheLastAck(AdapterWrap):
    """Waits for one more to send along, and closes without looking."""

    @override
    def events(self, events: Events, binding: Binding) -> Events:
        self._events = events
        return events

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Waiting(receiver, self._events)

    class _Waiting(ReceiverWrap):
        def __init__(self, inner: Receiver, events: Events) -> None:
            super().__init__(inner)
            self._events = events
            self._kept: list[Verdict] = []

        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            self._pass()
            *passed, last = verdicts
            if last.kind is VerdictKind.ACK:
                self._kept = [last]
                self._events.settled(last.ticket, last.first, last.count, SETTLED)
            else:
                passed.append(last)
            super().settle(passed)

        @override
        def take(self) -> Incoming | None:
            self._pass()
            return super().take()

        def _pass(self) -> None:
            kept, self._kept = self._kept, []
            super().settle(kept)


@saboteur(
    "What a broken connection swallowed is said to be settled.",
    "ACK-53",
    harness="rabbitmq",
    profile="rabbitmq",
)
class TakesSilenceForConsent(AdapterWrap):
    """Nobody has said that it was not."""

    class _Trusting(EventsWrap):
        @override
        def settled(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
            is_unknown = outcome.kind is OutcomeKind.UNKNOWN
            super().settled(ticket, first, count, SETTLED if is_unknown else outcome)

    @override
    def events(self, events: Events, binding: Binding) -> Events:
        return self._Trusting(events)
