"""Brokers that spoil what is published."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from unibus.spi import (
    Binding,
    Events,
    Flow,
    Incoming,
    Outgoing,
    Receiver,
    Source,
    Subscription,
    Verdict,
    VerdictKind,
)
from unibus_contract import stamps
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, ReceiverWrap, SourceWrap
from unibus_contract.zoo.saboteur import saboteur


def counter(body: bytes | None) -> int:
    """Return which message of its producer and key *body* is; 0 if it carries no stamp."""
    stamp = stamps.read(body)
    return 0 if stamp is None or stamp.is_sentinel else stamp.n


@saboteur("One accepted message in forty is nowhere.", "PUB-01")
class LosesEveryFortiethMessage(AdapterWrap):
    """Confirms it and throws it away."""

    class _Losing(SourceWrap):
        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            return [index for index, body in enumerate(batch.bodies) if counter(body) % 40 != 39]

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Losing(source)


@saboteur("One message in forty is stored twice.", "PUB-01")
class StoresEveryFortiethMessageTwice(AdapterWrap):
    """Publishes it again, as a retry would that forgets that it has succeeded."""

    class _Doubling(SourceWrap):
        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            again = [index for index, body in enumerate(batch.bodies) if counter(body) % 40 == 39]
            return sorted([*range(len(batch)), *again])

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Doubling(source)


@saboteur("A message without body is accepted and dropped.", "PAY-03")
class DropsEmptyBodies(AdapterWrap):
    """As transports do that take an empty body for no message."""

    class _Dropping(SourceWrap):
        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            return [index for index, body in enumerate(batch.bodies) if body]

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Dropping(source)


@saboteur("Line ends at the end of a body are stripped.", "PAY-01")
class StripsLineEnds(AdapterWrap):
    """As tools do that take a body for a line of text."""

    class _Stripping(SourceWrap):
        @override
        def pull(self) -> Outgoing | None:
            batch = super().pull()
            if batch is not None:
                batch.bodies = [body and body.rstrip(b"\r\n") for body in batch.bodies]
            return batch

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Stripping(source)


@saboteur("A topic has one subscription that gets its messages: the first.", "FAN-01")
def feeds_only_the_first_subscription(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Give every message to one subscription alone."""
    firsts: dict[str, str] = {}

    class Starving(AdapterWrap):
        @override
        def open_receiver(
            self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
        ) -> Receiver:
            spec = binding.spec
            assert isinstance(spec, Subscription)
            receiver = super().open_receiver(binding, flow, events, timeout_s=timeout_s)
            is_first = firsts.setdefault(spec.topic.name, spec.name) == spec.name
            return receiver if is_first else Starved(receiver)

    class Starved(ReceiverWrap):
        @override
        def take(self) -> Incoming | None:
            while (taken := super().take()) is not None:
                self.settle([Verdict(taken.ticket, 0, len(taken), VerdictKind.ACK)])
            return None

    return OverWrapped(broker, Starving)
