"""Brokers and cores that do too much at once, or too little."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from typing_extensions import override

from unibus import Delivery
from unibus.spi import AcksLevel, Binding, Events, Flow, Outgoing, Receiver, Sender, Source
from unibus_contract.wrap import AdapterWrap, SourceWrap
from unibus_contract.zoo.facade import BusWithConsumers, Facade
from unibus_contract.zoo.saboteur import saboteur

Handler = Callable[[Delivery], object]


@saboteur("One of several workers never works.", "CON-01")
class HasOneWorkerLess(BusWithConsumers):
    """As a pool does that keeps one thread for itself."""

    class _Lazy(Facade):
        def run(self, handler: Handler, *, workers: int = 1, stop: threading.Event) -> None:
            self.inner.run(handler, workers=max(1, workers - 1), stop=stop)

    facade = _Lazy


@saboteur("Of three workers there are four.", "CON-02")
class HasOneWorkerMore(BusWithConsumers):
    """As a pool does whose caller works as well."""

    class _Busy(Facade):
        def run(self, handler: Handler, *, workers: int = 1, stop: threading.Event) -> None:
            self.inner.run(handler, workers=workers + (workers == 3), stop=stop)

    facade = _Busy


@saboteur("Batches have one message each.", "CON-05")
class ReceivesOneByOne(BusWithConsumers):
    """Whatever is asked for."""

    class _Single(Facade):
        def receive(self, max_messages: int = 1, *, timeout_s: float) -> Sequence[Delivery]:
            one = min(max_messages, 1)
            batch: Sequence[Delivery] = self.inner.receive(one, timeout_s=timeout_s)
            return batch

    facade = _Single


@saboteur("Of producers that are opened at the same moment, one publishes to nowhere.", "CON-06")
class OpensOneProducerAtATime(AdapterWrap):
    """As numbers of channels do that are given out twice."""

    _inside = 0
    _has_failed = False
    _pace = threading.Event()  # never set: it only takes its time

    class _Nowhere(SourceWrap):
        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            return ()

    @override
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        self._inside += 1
        self._pace.wait(0.01)
        is_unlucky = self._inside > 1 and not self._has_failed
        self._has_failed = self._has_failed or is_unlucky
        used = self._Nowhere(source) if is_unlucky else source
        sender = super().open_sender(binding, acks, used, timeout_s=timeout_s)
        self._inside -= 1
        return sender


class _Allows(AdapterWrap):
    """Lets consumers hold another number than they ask for."""

    asked: int
    allowed: int

    @override
    def open_receiver(
        self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
    ) -> Receiver:
        if flow.max_unsettled == self.asked:
            batch = min(flow.max_batch, self.allowed)
            flow = flow._replace(max_unsettled=self.allowed, max_batch=batch)
        return super().open_receiver(binding, flow, events, timeout_s=timeout_s)


@saboteur("Of eight places among the unsettled, one is never used.", "CON-08")
class KeepsOnePlaceFree(_Allows):
    """Off by one."""

    asked, allowed = 8, 7


@saboteur("Where three may be unsettled, four are.", "CON-50")
class HoldsOneMore(_Allows):
    """Off by one, the other way."""

    asked, allowed = 3, 4


@saboteur("Several threads may receive from one consumer.", "CON-51")
class LetsAnybodyReceive(BusWithConsumers):
    """And one of them gets what another one waits for."""

    class _Open(Facade):
        _lock = threading.Lock()

        def receive(self, max_messages: int = 1, *, timeout_s: float) -> Sequence[Delivery]:
            end = time.monotonic() + timeout_s
            batch: Sequence[Delivery] = ()
            slice_s = min(0.01, timeout_s)
            while not batch:
                with self._lock:
                    batch = self.inner.receive(max_messages, timeout_s=slice_s)
                if time.monotonic() >= end or self.inner.is_closed:
                    break
            return batch

    facade = _Open
