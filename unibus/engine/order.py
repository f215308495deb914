"""Which batches may be under way at the same time without breaking an order."""

from __future__ import annotations

from typing import Protocol

from typing_extensions import override

from unibus.spi import Binding, Ordering, Outgoing, Topic


class Order(Protocol):
    """Says whether a batch may be handed over while others are not answered yet."""

    def admit(self, batch: Outgoing) -> bool:
        """Take note of *batch* and return True, or return False: it has to wait."""

    def release(self, batch: Outgoing) -> None:
        """Forget an admitted *batch*: it is answered."""


class AnyOrder(Order):
    """No order was promised, or the adapter keeps it by itself."""

    @override
    def admit(self, batch: Outgoing) -> bool:
        return True

    @override
    def release(self, batch: Outgoing) -> None:
        pass


class KeyOrder(Order):
    """At most one batch per key: a failed one is not overtaken by what was published after it."""

    def __init__(self) -> None:
        self._busy: set[str] = set()

    @override
    def admit(self, batch: Outgoing) -> bool:
        keys = _keys(batch)
        if not self._busy.isdisjoint(keys):
            return False
        self._busy |= keys
        return True

    @override
    def release(self, batch: Outgoing) -> None:
        self._busy -= _keys(batch)


class TopicOrder(Order):
    """At most one batch."""

    def __init__(self) -> None:
        self._is_busy = False

    @override
    def admit(self, batch: Outgoing) -> bool:
        if self._is_busy:
            return False
        self._is_busy = True
        return True

    @override
    def release(self, batch: Outgoing) -> None:
        self._is_busy = False


def order_of(binding: Binding) -> Order:
    """Return the order that a sender to *binding* has to keep."""
    spec = binding.spec
    topic = spec if isinstance(spec, Topic) else spec.topic
    wanted = Ordering[topic.ordering.upper()]
    if wanted is Ordering.NONE or binding.capabilities.ordered_pipeline:
        return AnyOrder()
    return KeyOrder() if wanted is Ordering.KEY else TopicOrder()


def _keys(batch: Outgoing) -> set[str]:
    return {key for key in batch.keys or () if key is not None}
