"""Brokers and cores that spoil opening and closing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import cast

from typing_extensions import override

from unibus import Batch, Bus, Delivery
from unibus.engine.core import Core
from unibus.errors import ClosedError
from unibus.spi import Binding, Incoming, Receiver, Verdict, VerdictKind
from unibus_contract.timing import eventually
from unibus_contract.wrap import AdapterWrap, ReceiverWrap
from unibus_contract.zoo.facade import BusWithConsumers, Facade
from unibus_contract.zoo.saboteur import saboteur


@saboteur("An iteration ends with an error when its consumer is closed.", "LIF-01")
class TakesTheEndForAnError(BusWithConsumers):
    """So that every program that shuts down writes a traceback."""

    class _Alarmed(Facade):
        @override
        def __iter__(self) -> Iterator[Delivery]:
            yield from self.inner
            raise ClosedError("the consumer is closed")

    facade = _Alarmed


@saboteur("Two closes at the same time are an error.", "LIF-05")
class ClosesOnceAtATime(Bus):
    """Guards itself with a lock that nobody may wait for, and takes a moment."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._closer = threading.Lock()

    @override
    def close(self, timeout_s: float = 10.0) -> None:
        if not self._closer.acquire(blocking=False):
            raise ClosedError("the bus is being closed")
        try:
            eventually(lambda: False, within_s=0.05)
            super().close(timeout_s)
        finally:
            self._closer.release()


@saboteur("A receive that is woken by a close raises.", "LIF-07")
class ComplainsWhenWoken(BusWithConsumers):
    """Although the program has done nothing wrong: it waited when it was still allowed to."""

    class _Complaining(Facade):
        def receive(self, max_messages: int = 1, *, timeout_s: float) -> Batch[Delivery]:
            batch = cast("Batch[Delivery]", self.inner.receive(max_messages, timeout_s=timeout_s))
            if not batch and self.inner.is_closed:
                raise ClosedError("the consumer was closed meanwhile")
            return batch

    facade = _Complaining


@saboteur("The second consumer of a subscription on one connection is deaf.", "LIF-10")
class IsDeafTheSecondTime(AdapterWrap):
    """Takes it for the first, which was closed."""

    class _Counted(ReceiverWrap):
        def __init__(self, inner: Receiver, closed: set[str], name: str) -> None:
            super().__init__(inner)
            self._is_deaf = name in closed
            self._closed = closed
            self._name = name

        @override
        def take(self) -> Incoming | None:
            return None if self._is_deaf else super().take()

        @override
        def close(self, timeout_s: float) -> None:
            super().close(timeout_s)
            self._closed.add(self._name)

    _closed: set[str] | None = None

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        self._closed = set() if self._closed is None else self._closed
        return self._Counted(receiver, self._closed, binding.spec.name)


class Reluctant(threading.Event):
    """An event that is not seen to be set while ``is_blind`` says so."""

    def __init__(self, real: threading.Event, is_blind: Callable[[], bool]) -> None:
        super().__init__()
        self._real = real
        self._is_blind = is_blind

    @override
    def is_set(self) -> bool:
        return self._real.is_set() and not self._is_blind()


@saboteur("run() looks at its stop event only after the first delivery.", "LIF-12")
class LooksTooLate(BusWithConsumers):
    """Asks at the end of its loop, not at the beginning."""

    class _Late(Facade):
        def run(
            self,
            handler: Callable[[Delivery], object],
            *,
            workers: int = 1,
            stop: threading.Event | None = None,
        ) -> None:
            begun: list[Delivery] = []

            def handle(delivery: Delivery) -> None:
                begun.append(delivery)
                handler(delivery)

            was_set = stop is not None and stop.is_set()
            late = None if stop is None else Reluctant(stop, lambda: was_set and not begun)
            self.inner.run(handle, workers=workers, stop=late)

    facade = _Late


@saboteur("A consumer that is closed without having received takes a batch with it.", "LIF-21")
class TakesABatchAlong(AdapterWrap):
    """It was fetched ahead and is acked when the buffer is thrown away."""

    class _Ahead(ReceiverWrap):
        _was_asked = False

        @override
        def take(self) -> Incoming | None:
            self._was_asked = True
            return super().take()

        @override
        def close(self, timeout_s: float) -> None:
            if not self._was_asked and (ahead := self.inner.take()) is not None:
                self.settle([Verdict(ahead.ticket, 0, len(ahead), VerdictKind.ACK)])
            super().close(timeout_s)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Ahead(receiver)


@saboteur("The block of a bus that is left with an error leaves the bus open.", "LIF-23")
class ClosesOnlyWhenAllIsWell(Bus):
    """Closes at the end of the block, not in its ``finally``."""

    @override
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            super().__exit__(kind, error, trace)
