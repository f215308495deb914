"""Brokers that spoil what a settlement does."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from unibus.errors import LeaseLostError
from unibus.outcome import lease_lost
from unibus.spi import (
    Binding,
    Events,
    Flow,
    Incoming,
    Receiver,
    Verdict,
    VerdictKind,
)
from unibus_contract.wrap import AdapterWrap, ReceiverWrap
from unibus_contract.zoo.saboteur import saboteur


class Books:
    """Which deliveries of one receiver are settled, and how far each batch is without a gap."""

    def __init__(self) -> None:
        self._settled: dict[object, set[int]] = {}

    def note(self, verdict: Verdict) -> None:
        """Take note of *verdict*."""
        if verdict.kind is not VerdictKind.EXTEND:
            settled = self._settled.setdefault(verdict.ticket, set())
            settled.update(range(verdict.first, verdict.first + verdict.count))

    def is_settled(self, ticket: object, index: int) -> bool:
        """Return whether delivery *index* of the batch is settled."""
        return index in self._settled.get(ticket, ())


@saboteur("What lies alone between two acks is acked along.", "ACK-07", "ACK-54")
class AcksAlongWhatLiesBetween(AdapterWrap):
    """As a client does that acks up to a tag, over a hole."""

    class _Bridging(ReceiverWrap):
        def __init__(self, inner: Receiver) -> None:
            super().__init__(inner)
            self._acks = Books()
            self._all = Books()

        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            for each in verdicts:
                self._all.note(each)
                if each.kind is VerdictKind.ACK:
                    self._acks.note(each)
                    self._bridge(each.ticket, each.first - 1, each.first - 2)
                    stop = each.first + each.count
                    self._bridge(each.ticket, stop, stop + 1)
            super().settle(verdicts)

        def _bridge(self, ticket: object, hole: int, beyond: int) -> None:
            is_open = not self._all.is_settled(ticket, hole)
            if is_open and self._acks.is_settled(ticket, beyond):
                super().settle([Verdict(ticket, hole, 1, VerdictKind.ACK)])

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Bridging(receiver)


@saboteur("A consumer is given twice what its window allows.", "ACK-08", "RED-10")
class GivesTwiceTheWindow(AdapterWrap):
    """As clients do that fill a buffer of their own besides."""

    @override
    def open_receiver(
        self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
    ) -> Receiver:
        wide = flow._replace(max_unsettled=2 * flow.max_unsettled)
        return super().open_receiver(binding, wide, events, timeout_s=timeout_s)


@saboteur("An ack is refused while an earlier delivery of its batch is unsettled.", "ACK-52")
class RefusesAnAckOutOfOrder(AdapterWrap):
    """As queues do that let nobody settle but in order."""

    @override
    def events(self, events: Events, binding: Binding) -> Events:
        self._events = events
        return events

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Strict(receiver, self._events)

    class _Strict(ReceiverWrap):
        def __init__(self, inner: Receiver, events: Events) -> None:
            super().__init__(inner)
            self._events = events
            self._books = Books()

        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            for each in verdicts:
                before = range(each.first)
                is_early = not all(self._books.is_settled(each.ticket, index) for index in before)
                self._books.note(each)
                if each.kind is VerdictKind.ACK and is_early:
                    refusal = lease_lost(LeaseLostError("out of order"))
                    self._events.settled(each.ticket, each.first, each.count, refusal)
                else:
                    super().settle([each])


@saboteur("A rejected delivery is given back if a reason was named.", "RED-03")
class GivesBackWhatWasRejected(AdapterWrap):
    """Takes the reason for a failure that may pass."""

    class _Hopeful(ReceiverWrap):
        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            super().settle([_softened(each) for each in verdicts])

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Hopeful(receiver)


def _softened(verdict: Verdict) -> Verdict:
    if verdict.kind is not VerdictKind.REJECT or not verdict.reason:
        return verdict
    return Verdict(verdict.ticket, verdict.first, verdict.count, VerdictKind.RELEASE)


@saboteur("What a closed consumer held is gone, from its twentieth message on.", "RED-08")
class ForgetsWhatAClosedConsumerHeld(AdapterWrap):
    """As clients do that settle on receipt what they have buffered."""

    class _Greedy(ReceiverWrap):
        def __init__(self, inner: Receiver) -> None:
            super().__init__(inner)
            self._books = Books()
            self._taken: list[Incoming] = []

        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            if taken is not None:
                self._taken.append(taken)
            return taken

        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            for each in verdicts:
                self._books.note(each)
            super().settle(verdicts)

        @override
        def close(self, timeout_s: float) -> None:
            for taken in self._taken:
                for index in range(20, len(taken)):
                    if not self._books.is_settled(taken.ticket, index):
                        super().settle([Verdict(taken.ticket, index, 1, VerdictKind.ACK)])
            super().close(timeout_s)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Greedy(receiver)
