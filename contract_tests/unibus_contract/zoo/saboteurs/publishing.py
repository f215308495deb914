"""Brokers that spoil what is published."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from unibus.spi import Binding, Outgoing, Source
from unibus_contract.wrap import AdapterWrap, SourceWrap
from unibus_contract.zoo.saboteur import saboteur


@saboteur("One accepted message in ten is nowhere.", "PUB-01", "ACK-01", "FAN-01")
class LosesEveryTenthMessage(AdapterWrap):
    """Confirms it and throws it away."""

    class _Losing(SourceWrap):
        seen = 0

        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            first, self.seen = self.seen, self.seen + len(batch)
            return [index for index in range(len(batch)) if (first + index) % 10 != 9]

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Losing(source)


@saboteur("Each message is stored twice.", "PUB-01", "FAN-01")
class StoresEverythingTwice(AdapterWrap):
    """Publishes each message again under the same id."""

    class _Doubling(SourceWrap):
        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            return [index for index in range(len(batch)) for _ in range(2)]

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
