"""Consumers, batches and deliveries that are seen through, so that a core can spoil settling."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, ClassVar, Self, cast

from typing_extensions import override

from unibus import Bus, Consumer
from unibus_contract.zoo.facade import Facade


class DeliveryFacade(Facade):
    """A delivery, seen through, also as a context manager."""

    def __enter__(self) -> Self:
        self.inner.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        return bool(self.inner.__exit__(kind, error, trace))


class BatchFacade(Facade):
    """A batch, seen through, with deliveries that are seen through."""

    def __init__(self, inner: Any, consumer: ConsumerFacade) -> None:  # noqa: ANN401  # a batch
        super().__init__(inner)
        self._consumer = consumer

    def __len__(self) -> int:
        return len(self.inner)

    @override
    def __iter__(self) -> Iterator[DeliveryFacade]:
        return map(self._consumer.delivery, self.inner)


class ConsumerFacade(Facade):
    """A consumer, seen through; override what it hands out, or how."""

    def __init__(self, inner: Any, bus: BusWithDeliveries) -> None:  # noqa: ANN401  # a consumer
        super().__init__(inner)
        self.bus = bus

    def delivery(self, inner: object) -> DeliveryFacade:
        """Return what a program gets for the delivery *inner*."""
        return self.bus.delivery(inner)

    def receive(self, *arguments: object, **settings: object) -> BatchFacade:
        """Receive as the consumer does."""
        return self.bus.batch(self.inner.receive(*arguments, **settings), self)

    @override
    def __iter__(self) -> Iterator[DeliveryFacade]:
        return map(self.delivery, self.inner)


class BusWithDeliveries(Bus):
    """A bus whose deliveries, batches and consumers are seen through."""

    delivery: ClassVar[type[DeliveryFacade]] = DeliveryFacade
    batch: ClassVar[type[BatchFacade]] = BatchFacade
    receiving: ClassVar[type[ConsumerFacade]] = ConsumerFacade

    @override
    def consumer(self, *arguments: Any, **settings: Any) -> Consumer:
        return cast("Consumer", self.receiving(super().consumer(*arguments, **settings), self))
