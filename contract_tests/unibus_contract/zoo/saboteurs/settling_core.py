"""A core that misbehaves when a delivery is settled."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from typing_extensions import override

from unibus.errors import AlreadySettledError
from unibus_contract.zoo.deliveries import (
    BatchFacade,
    BusWithDeliveries,
    ConsumerFacade,
    DeliveryFacade,
)
from unibus_contract.zoo.saboteur import saboteur


@saboteur("A second ack of a delivery raises.", "ACK-03")
class MindsASecondAck(BusWithDeliveries):
    """As client libraries do that count their tags."""

    class _Strict(DeliveryFacade):
        was_acked = False

        def ack(self) -> None:
            if self.was_acked:
                raise AlreadySettledError("acked twice")
            self.was_acked = True
            self.inner.ack()

    delivery = _Strict


@saboteur("Settling in another way than before goes unnoticed.", "ACK-04")
class ToleratesEverySettlement(BusWithDeliveries):
    """So that a program never learns that two of its parts disagree."""

    class _Tolerant(DeliveryFacade):
        def _try(self, settle: Callable[..., None], *arguments: object) -> None:
            try:
                settle(*arguments)
            except AlreadySettledError:
                return

        def ack(self) -> None:
            self._try(self.inner.ack)

        def nack(self, delay_s: float = 0.0) -> None:
            self._try(self.inner.nack, delay_s)

        def release(self) -> None:
            self._try(self.inner.release)

        def reject(self, reason: str = "") -> None:
            self._try(self.inner.reject, reason)

    delivery = _Tolerant


@saboteur("Of a release and an ack after it, the ack counts.", "ACK-55")
class LetsTheLastWordCount(BusWithDeliveries):
    """Keeps a release to itself until the program receives, flushes or closes."""

    class _Hesitating(ConsumerFacade):
        def __init__(self, inner: Any, bus: BusWithDeliveries) -> None:  # noqa: ANN401  # a consumer
            super().__init__(inner, bus)
            self.waiting: dict[int, Callable[[], None]] = {}

        @override
        def delivery(self, inner: Any) -> DeliveryFacade:
            return LetsTheLastWordCount._Released(inner, self.waiting)

        def say(self) -> None:
            waiting, self.waiting = self.waiting, {}
            for settle in waiting.values():
                settle()

        @override
        def receive(self, *arguments: object, **settings: object) -> BatchFacade:
            self.say()
            return super().receive(*arguments, **settings)

        def flush(self, timeout_s: float = 30.0) -> None:
            self.say()
            self.inner.flush(timeout_s)

        def close(self, timeout_s: float = 10.0) -> None:
            if not self.inner.is_closed:
                self.say()
            self.inner.close(timeout_s)

    class _Released(DeliveryFacade):
        def __init__(self, inner: Any, waiting: dict[int, Callable[[], None]]) -> None:  # noqa: ANN401  # a delivery
            super().__init__(inner)
            self._waiting = waiting

        def release(self) -> None:
            self._waiting[id(self)] = self.inner.release

        def ack(self) -> None:
            if id(self) in self._waiting:
                self._waiting[id(self)] = self.inner.ack
                raise AlreadySettledError("settled with release, then ack was asked for")
            self.inner.ack()

    receiving = _Hesitating


@saboteur("A block acks what it raised.", "ACK-10")
class AcksWhatRaised(BusWithDeliveries):
    """As frameworks do that ack in a ``finally``."""

    class _Final(DeliveryFacade):
        @override
        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            trace: TracebackType | None,
        ) -> bool:
            if isinstance(error, Exception):
                self.inner.ack()
                return True
            return super().__exit__(kind, error, trace)

    delivery = _Final


@saboteur("A block acks what was interrupted.", "ACK-11")
class AcksWhatWasInterrupted(BusWithDeliveries):
    """As frameworks do that know of ``Exception`` alone."""

    class _Final(DeliveryFacade):
        @override
        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            trace: TracebackType | None,
        ) -> bool:
            if error is not None and not isinstance(error, Exception):
                self.inner.ack()
                return False
            return super().__exit__(kind, error, trace)

    delivery = _Final


@saboteur("Acking a batch leaves out its last delivery.", "ACK-12")
class AcksAllButTheLast(BusWithDeliveries):
    """Counts from one."""

    class _Short(BatchFacade):
        def ack(self) -> None:
            for each in list(self.inner)[:-1]:
                try:
                    each.ack()
                except AlreadySettledError:
                    continue

    batch = _Short


@saboteur("Headers that a handler has changed are shown to the next attempt.", "RED-09")
class RemembersChangedHeaders(BusWithDeliveries):
    """Decodes them once for all attempts, into something that can be changed."""

    class _Caching(ConsumerFacade):
        def __init__(self, inner: Any, bus: BusWithDeliveries) -> None:  # noqa: ANN401  # a consumer
            super().__init__(inner, bus)
            self._known: dict[str, dict[str, object]] = {}

        @override
        def delivery(self, inner: Any) -> DeliveryFacade:
            headers = self._known.setdefault(inner.id, dict(inner.headers))
            return RemembersChangedHeaders._Cached(inner, headers)

    class _Cached(DeliveryFacade):
        def __init__(self, inner: Any, headers: dict[str, object]) -> None:  # noqa: ANN401  # a delivery
            super().__init__(inner)
            self.headers = headers

    receiving = _Caching
