"""Brokers and cores that do not end in good order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from time import monotonic

from typing_extensions import override

from unibus import Delivery
from unibus.errors import ClosedError
from unibus.outcome import ACCEPTED, Outcome, OutcomeKind
from unibus.spi import (
    Binding,
    Incoming,
    Outgoing,
    Receiver,
    Sender,
    Source,
    Verdict,
    VerdictKind,
)
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, ReceiverWrap, SenderWrap, SourceWrap
from unibus_contract.zoo.facade import BusWithConsumers, BusWithProducers, Facade
from unibus_contract.zoo.saboteur import saboteur
from unibus_contract.zoo.saboteurs.lifecycle import Reluctant

_Handler = Callable[[Delivery], object]
_LATE_S = 0.1


class RunFacade(Facade):
    """A consumer whose ``run`` is spoiled by ``handler_of`` and ``stop_of``; for subclasses."""

    def run(
        self, handler: _Handler, *, workers: int = 1, stop: threading.Event | None = None
    ) -> None:
        """Run."""
        self.inner.run(self.handler_of(handler), workers=workers, stop=self.stop_of(stop))

    def handler_of(self, handler: _Handler) -> _Handler:
        """Return what is really called."""
        return handler

    def stop_of(self, stop: threading.Event | None) -> threading.Event | None:
        """Return what is really looked at."""
        return stop


@saboteur("run() goes on for a tenth of a second after it was told to stop.", "LIF-06")
class StopsALittleLater(BusWithConsumers):
    """Looks at the clock before it looks at the event."""

    class _Later(RunFacade):
        @override
        def stop_of(self, stop: threading.Event | None) -> threading.Event | None:
            if stop is None or stop.is_set():
                return stop
            seen: list[float] = []

            def is_blind() -> bool:
                seen[1:] = []
                seen.append(monotonic())
                return seen[-1] - seen[0] < _LATE_S

            return Reluctant(stop, is_blind)

    facade = _Later


@saboteur("Closing a consumer does not wait for its handlers.", "LIF-08")
class WaitsForNobody(BusWithConsumers):
    """And gives back under their hands what they would have settled in time."""

    class _Hasty(Facade):
        def close(self, timeout_s: float = 10.0) -> None:
            self.inner.close(min(timeout_s, 0.01))

    facade = _Hasty


@saboteur("The one delivery that is still held when its consumer closes is acked.", "LIF-09")
class TakesTheLastForDone(AdapterWrap):
    """So a handler that was too slow has lost its message."""

    class _Closing(ReceiverWrap):
        def __init__(self, inner: Receiver) -> None:
            super().__init__(inner)
            self._open: set[tuple[object, int]] = set()

        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            if taken is not None:
                self._open |= {(taken.ticket, index) for index in range(len(taken))}
            return taken

        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            for each in verdicts:
                if each.kind is not VerdictKind.EXTEND:
                    done = range(each.first, each.first + each.count)
                    self._open -= {(each.ticket, index) for index in done}
            super().settle(verdicts)

        @override
        def close(self, timeout_s: float) -> None:
            if len(self._open) == 1:
                ((ticket, index),) = self._open
                super().settle([Verdict(ticket, index, 1, VerdictKind.ACK)])
            super().close(timeout_s)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Closing(receiver)


@saboteur(
    "Closing a producer gives up what is not sent yet.",
    "LIF-22",
    may_break={"PUB-17": "it closes a producer as well, and does not expect an error"},
)
def gives_up_what_lingers(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Over a broker that lets messages gather for a moment, as is its right."""

    class Gathering(SenderWrap):
        def __init__(self, inner: Sender) -> None:
            super().__init__(inner)
            self._timer: threading.Timer | None = None

        @override
        def offer(self) -> None:
            if self._timer is None:
                self._timer = threading.Timer(0.02, self._go)
                self._timer.start()

        @override
        def push(self) -> None:
            """It never takes longer than that."""

        @override
        def close(self, timeout_s: float) -> None:
            if self._timer is not None:
                self._timer.cancel()
            super().close(timeout_s)

        def _go(self) -> None:
            self._timer = None
            self.inner.offer()

    class Lingering(AdapterWrap):
        @override
        def sender(self, sender: Sender, binding: Binding) -> Sender:
            return Gathering(sender)

    class Hasty(Facade):
        def close(self, timeout_s: float = 10.0) -> None:
            self.inner.close(min(timeout_s, 0.001))

    class Careless(BusWithProducers):
        facade = Hasty

    return OverWrapped(broker, Lingering, Careless)


@saboteur("Iterating hands out what it has fetched, also when it is closed.", "LIF-52")
class HandsOutWhatItHasFetched(BusWithConsumers):
    """Reads ten ahead and looks at the consumer only for the next ten."""

    class _Ahead(Facade):
        @override
        def __iter__(self) -> Iterator[Delivery]:
            while True:
                try:
                    yield from self.inner.receive(10, timeout_s=0.05)
                except ClosedError:
                    return

    facade = _Ahead


@saboteur("Closing a consumer waits for its handlers, however long they take.", "LIF-53")
class WaitsForHandlersForEver(BusWithConsumers):
    """Or for three seconds: nobody has more patience with it."""

    class _Patient(RunFacade):
        def __init__(self, inner: object) -> None:
            super().__init__(inner)
            self._is_done = threading.Event()
            self._is_done.set()

        @override
        def handler_of(self, handler: _Handler) -> _Handler:
            def handle(delivery: Delivery) -> None:
                self._is_done.clear()
                try:
                    handler(delivery)
                finally:
                    self._is_done.set()

            return handle

        def close(self, timeout_s: float = 10.0) -> None:
            self._is_done.wait(3.0)
            self.inner.close(timeout_s)

    facade = _Patient


@saboteur(
    "A publish that is still unanswered when its producer closes is called accepted.",
    "LIF-59",
    harness="rabbitmq",
    profile="rabbitmq",
)
class TicksOffWhatIsOpen(AdapterWrap):
    """Ends its books with a tick behind everything."""

    _is_closing = False

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        adapter = self

        class Hopeful(SourceWrap):
            @override
            def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
                is_open = adapter._is_closing and outcome.kind is OutcomeKind.UNKNOWN
                super().completed(batch, first, count, ACCEPTED if is_open else outcome)

        return Hopeful(source)

    @override
    def sender(self, sender: Sender, binding: Binding) -> Sender:
        adapter = self

        class Closing(SenderWrap):
            @override
            def close(self, timeout_s: float) -> None:
                adapter._is_closing = True
                super().close(timeout_s)

        return Closing(sender)


@saboteur("A delivery whose handler is interrupted is acked.", "LIF-60")
class AcksWhatIsInterrupted(BusWithConsumers):
    """As code does that acks in a ``finally``."""

    class _Final(RunFacade):
        @override
        def handler_of(self, handler: _Handler) -> _Handler:
            def handle(delivery: Delivery) -> None:
                try:
                    handler(delivery)
                except KeyboardInterrupt:
                    delivery.ack()
                    raise

            return handle

    facade = _Final
