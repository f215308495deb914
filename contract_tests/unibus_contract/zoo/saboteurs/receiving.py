"""Brokers that spoil what is delivered, or what is made of a settlement."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from unibus.outcome import SETTLED
from unibus.spi import Binding, Events, Incoming, Message, Receiver, Verdict, VerdictKind
from unibus_contract.wrap import AdapterWrap, IncomingWrap, ReceiverWrap
from unibus_contract.zoo.saboteur import saboteur


@saboteur("Names of headers arrive in lower case.", "HDR-01")
class LowersHeaderNames(AdapterWrap):
    """As HTTP libraries do."""

    class _Lowered(IncomingWrap):
        @override
        def message(self, index: int) -> Message:
            message = super().message(index)
            headers = message.headers or {}
            message.headers = {name.lower(): value for name, value in headers.items()}
            return message

    class _Lowering(ReceiverWrap):
        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            return None if taken is None else LowersHeaderNames._Lowered(taken)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Lowering(receiver)


@saboteur("A nacked delivery never comes again.", "RED-01")
class ForgetsWhatWasNacked(AdapterWrap):
    """Takes a nack for an ack."""

    class _Forgetting(ReceiverWrap):
        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            super().settle([changed(each, VerdictKind.NACK, VerdictKind.ACK) for each in verdicts])

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Forgetting(receiver)


def changed(verdict: Verdict, from_: VerdictKind, to: VerdictKind) -> Verdict:
    """Return *verdict*, with another kind if it is of kind *from_*."""
    if verdict.kind is not from_:
        return verdict
    return Verdict(verdict.ticket, verdict.first, verdict.count, to, incoming=verdict.incoming)


@saboteur("The first acknowledged message of a consumer comes again after it has closed.", "ACK-01")
class KeepsOneAckToItself(AdapterWrap):
    """Reports it as settled and never tells the broker."""

    @override
    def events(self, events: Events, binding: Binding) -> Events:
        self._events = events
        return events

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Keeping(receiver, self._events)

    class _Keeping(ReceiverWrap):
        def __init__(self, inner: Receiver, events: Events) -> None:
            super().__init__(inner)
            self._events = events
            self._is_new = True

        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            passed = []
            for each in verdicts:
                if self._is_new and each.kind is VerdictKind.ACK:
                    self._is_new = False
                    self._events.settled(each.ticket, each.first, 1, SETTLED)
                    passed += _without_first(each)
                else:
                    passed.append(each)
            super().settle(passed)


def _without_first(verdict: Verdict) -> list[Verdict]:
    if verdict.count == 1:
        return []
    return [Verdict(verdict.ticket, verdict.first + 1, verdict.count - 1, verdict.kind)]
