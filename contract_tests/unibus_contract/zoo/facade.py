"""An object that passes everything on to another, so that a saboteur can change one method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, cast

from typing_extensions import override

from unibus import Bus, Consumer, Producer, Receipt
from unibus.spi import Binding


class Facade:
    """Override a method to spoil it; ``inner`` is the healthy object."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401  # a producer, a consumer or a delivery
        self.inner = inner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # what it passes on
        return getattr(self.inner, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.inner)


class ProducerFacade(Facade):
    """A producer, seen through; what it publishes one by one can be spoiled."""

    def publish(self, *arguments: object, **fields: object) -> Receipt:
        """Publish as the producer does."""
        return cast("Receipt", self.inner.publish(*arguments, **fields))


class BusWithProducers(Bus):
    """A bus whose producers are seen through ``facade``."""

    facade: ClassVar[type[Facade]]

    @override
    def producer(self, *arguments: Any, **settings: Any) -> Producer:
        return cast("Producer", self.facade(super().producer(*arguments, **settings)))


class BusWithBindings(Bus):
    """A bus whose producers believe in what ``rebind`` makes of the broker's promises."""

    def rebind(self, binding: Binding) -> Binding:
        """Return what a producer is to believe in."""
        return binding

    @override
    def producer(self, *arguments: Any, **settings: Any) -> Producer:
        core: Any = self._core
        bind = core.bind_target
        core.bind_target = lambda spec: self.rebind(bind(spec))
        try:
            return super().producer(*arguments, **settings)
        finally:
            del core.bind_target


class BusWithConsumers(Bus):
    """A bus whose consumers are seen through ``facade``."""

    facade: ClassVar[type[Facade]]

    @override
    def consumer(self, *arguments: Any, **settings: Any) -> Consumer:
        return cast("Consumer", self.facade(super().consumer(*arguments, **settings)))
