"""Brokers that spoil what is delivered."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from unibus.spi import Binding, Incoming, Message, Receiver, Verdict, VerdictKind
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
            super().settle([_acked(each) for each in verdicts])

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Forgetting(receiver)


def _acked(verdict: Verdict) -> Verdict:
    if verdict.kind is not VerdictKind.NACK:
        return verdict
    return Verdict(verdict.ticket, verdict.first, verdict.count, VerdictKind.ACK)
