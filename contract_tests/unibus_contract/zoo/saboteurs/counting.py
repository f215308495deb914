"""Attempts that are counted wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from typing_extensions import override

from unibus.spi import Binding, Events, Incoming, Lease, Receiver, Verdict, VerdictKind
from unibus_contract.harness import BrokerUnderTest, Faults
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, EventsWrap, IncomingWrap, ReceiverWrap
from unibus_contract.zoo.deliveries import BusWithDeliveries, DeliveryFacade
from unibus_contract.zoo.saboteur import saboteur
from unibus_contract.zoo.saboteurs.receiving import changed


@saboteur("The first time that a message comes again is not counted.", "RED-05", "RED-06", "RED-51")
class CountsFromTheSecondFailure(BusWithDeliveries):
    """Begins with nought, and shows one for it."""

    class _Late(DeliveryFacade):
        @property
        def attempt(self) -> int:
            return max(1, int(self.inner.attempt) - 1)

    delivery = _Late


@saboteur("Each failure counts twice.", "RED-06", "RED-51")
class CountsEachFailureTwice(BusWithDeliveries):
    """Once when it is told, and once when the message comes again."""

    class _Double(DeliveryFacade):
        @property
        def attempt(self) -> int:
            return 2 * int(self.inner.attempt) - 1

    delivery = _Double


@saboteur("Failures are counted by key, not by message.", "RED-07")
def counts_by_key(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Blame all for what one has failed with."""
    failures: Counter[str] = Counter()

    class Blaming(DeliveryFacade):
        def nack(self, delay_s: float = 0.0) -> None:
            failures[self.inner.key] += self.inner.key is not None
            self.inner.nack(delay_s)

        @property
        def attempt(self) -> int:
            return max(int(self.inner.attempt), failures[self.inner.key] + 1)

    class Spoiled(BusWithDeliveries):
        delivery = Blaming

    return OverWrapped(broker, lambda adapter: adapter, Spoiled)


@saboteur("What was lost with its consumer does not count as an attempt.", "RED-51", "DLQ-55")
def forgives_a_crash(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Count what the program says alone."""
    forgiven: Counter[bytes | None] = Counter()

    class Forgiving(EventsWrap):
        held: dict[int, Sequence[bytes | None]]

        @override
        def lost(self, leases: Sequence[Lease], cause: Exception) -> None:
            for lease in leases:
                forgiven.update(self.held.pop(id(lease), ()))
            super().lost(leases, cause)

    class Counted(IncomingWrap):
        @override
        def attempt(self, index: int) -> int | None:
            made = super().attempt(index)
            return None if made is None else made - forgiven[self.bodies()[index]]

    class Taking(ReceiverWrap):
        def __init__(self, inner: Receiver, events: Forgiving) -> None:
            super().__init__(inner)
            self._events = events

        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            if taken is None:
                return None
            self._events.held[id(taken.leases()[0].lease)] = taken.bodies()
            return Counted(taken)

    class Spoiled(AdapterWrap):
        @override
        def events(self, events: Events, binding: Binding) -> Events:
            self._events = Forgiving(events)
            self._events.held = {}
            return self._events

        @override
        def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
            return Taking(receiver, self._events)

    return OverWrapped(broker, Spoiled)


@saboteur("A restart of the broker sets every attempt back to one.", "RED-55")
def forgets_attempts_with_a_restart(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Keep the count where it does not last."""
    is_new: list[bool] = []

    class Restarting(Faults):
        kinds = broker.faults.kinds

        @override
        def restart(self) -> None:
            is_new.append(True)
            broker.faults.restart()

    class Amnesiac(DeliveryFacade):
        @property
        def attempt(self) -> int:
            return 1 if is_new else int(self.inner.attempt)

    class Spoiled(BusWithDeliveries):
        delivery = Amnesiac

    spoiled = OverWrapped(broker, lambda adapter: adapter, Spoiled)
    spoiled.faults = Restarting()
    return spoiled


@saboteur("A release counts as an attempt although it is declared not to.", "RED-58")
class CountsReleases(AdapterWrap):
    """As brokers do that know one way back alone."""

    class _Counting(ReceiverWrap):
        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            back = [changed(each, VerdictKind.RELEASE, VerdictKind.NACK) for each in verdicts]
            super().settle(back)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Counting(receiver)
