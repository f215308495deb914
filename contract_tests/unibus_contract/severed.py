"""An agent for brokers that live in this process: its connection is severed instead of killed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Unpack

from typing_extensions import override

from unibus.errors import UnibusError
from unibus.spi import Adapter, Binding, Events, Incoming, Receiver, Verdict
from unibus_contract.agents import Agent, Verb
from unibus_contract.consuming import Held, RecordingConsumer
from unibus_contract.fields import ConsumerFields
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.history import Event
from unibus_contract.recorder import Recorder
from unibus_contract.timing import TimingProfile
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, EventsWrap, ReceiverWrap

if TYPE_CHECKING:
    from unibus import Bus
    from unibus.specs import Subscription

_LOOK_S = 0.02
_CLOSE_S = 10.0


class _Wire:
    """Whether anything still passes between the core and the adapter."""

    def __init__(self) -> None:
        self.is_cut = False
        self.receivers: list[Receiver] = []

    def cut(self) -> None:
        self.is_cut = True
        for each in self.receivers:
            each.close(0.0)  # as a broker does that notices the end of a connection


class _SeveredEvents(EventsWrap):
    def __init__(self, inner: Events, wire: _Wire) -> None:
        super().__init__(inner)
        self._wire = wire

    @override
    def verdicts(self) -> Sequence[Verdict]:
        return () if self._wire.is_cut else super().verdicts()


class _SeveredReceiver(ReceiverWrap):
    def __init__(self, inner: Receiver, wire: _Wire) -> None:
        super().__init__(inner)
        self._wire = wire
        wire.receivers.append(inner)

    @override
    def take(self) -> Incoming | None:
        return None if self._wire.is_cut else super().take()

    @override
    def settle(self, verdicts: Sequence[Verdict]) -> None:
        if not self._wire.is_cut:
            super().settle(verdicts)

    @override
    def close(self, timeout_s: float) -> None:
        if not self._wire.is_cut:
            super().close(timeout_s)


class _SeveredAdapter(AdapterWrap):
    def __init__(self, inner: Adapter, wire: _Wire) -> None:
        super().__init__(inner)
        self._wire = wire

    @override
    def events(self, events: Events, binding: Binding) -> Events:
        return _SeveredEvents(events, self._wire)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return _SeveredReceiver(receiver, self._wire)


class SeverableAgent(Agent):
    """Receives on a thread; ``kill`` cuts everything that its core would still say."""

    def __init__(
        self,
        recorder: Recorder,
        timing: TimingProfile,
        broker: BrokerUnderTest,
        url: str,
        subscription: Subscription,
        *,
        ack: int = 0,
        **options: Unpack[ConsumerFields],
    ) -> None:
        super().__init__(recorder, recorder.scope(subscription.name), timing)
        self._wire = _Wire()
        severable = OverWrapped(broker, lambda adapter: _SeveredAdapter(adapter, self._wire))
        self._bus: Bus = severable.connect(url)
        raw = self._bus.consumer(subscription, **options)
        self._consumer = RecordingConsumer(recorder, raw, self._scope, timing)
        self.name = self._consumer.name
        self._acks_left = ack
        self._held: dict[str, Held] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=self.name, daemon=True)
        self._thread.start()

    @override
    def settle(self, delivery: Event, verb: Verb) -> None:
        getattr(self._held.pop(delivery.lease), verb)()

    @override
    def flush(self) -> None:
        self._consumer.settled()

    @override
    def kill(self) -> None:
        self._wire.cut()
        self._end()
        self._consumer.crashed()

    @override
    def close(self) -> None:
        if not self._wire.is_cut:
            self._end()
            self._consumer.close()
        with suppress(UnibusError):  # what was cut off is never answered
            self._bus.close(_CLOSE_S if not self._wire.is_cut else _LOOK_S)

    def _end(self) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.is_set():
            for held in self._consumer.receive(10, timeout_s=_LOOK_S):
                self._held[held.event.lease] = held
                self.deliveries.append(held.event)
                if self._acks_left > 0:
                    self._acks_left -= 1
                    self.settle(held.event, "ack")
                self._recorder.poke()
