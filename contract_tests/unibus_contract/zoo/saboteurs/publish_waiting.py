"""Brokers and adapters that are careless with what is on its way, or waits."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from typing_extensions import override

from unibus.outcome import ACCEPTED, Outcome
from unibus.spi import (
    AcksLevel,
    Adapter,
    Binding,
    Change,
    Events,
    Flow,
    Outgoing,
    Receiver,
    Sender,
    Source,
    Subscription,
    SupportsPurge,
    Topic,
)
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, SenderWrap, SourceWrap
from unibus_contract.zoo.saboteur import saboteur

_ROOM = 300
_AT_ONCE = 450


def is_program(binding: Binding) -> bool:
    """Return whether a program publishes there, and not a retry or a dead letter."""
    return isinstance(binding.spec, Topic) and not binding.spec.point_to_point


@saboteur("Of what waits for a first consumer, only three hundred are kept.", "PUB-02", "PUB-05")
def keeps_three_hundred(broker: BrokerUnderTest) -> BrokerUnderTest:
    """As queues with a length limit do, which tell nobody."""
    waiting: Counter[str] = Counter()
    consumed: set[str] = set()

    class Full(SourceWrap):
        def __init__(self, inner: Source, topic: str) -> None:
            super().__init__(inner)
            self._topic = topic

        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            room = len(batch)
            if self._topic not in consumed:
                room = max(0, _ROOM - waiting[self._topic])
                waiting[self._topic] += len(batch)
            return range(min(room, len(batch)))

    class Limited(AdapterWrap):
        @override
        def source(self, source: Source, binding: Binding) -> Source:
            return Full(source, binding.spec.name)

        @override
        def open_receiver(
            self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
        ) -> Receiver:
            if isinstance(binding.spec, Subscription):
                consumed.add(binding.spec.topic.name)
            return super().open_receiver(binding, flow, events, timeout_s=timeout_s)

    return OverWrapped(broker, Limited)


@saboteur("What is published stays behind until somebody waits for it.", "PUB-03", "PUB-08")
class SendsOnlyWhenHurried(AdapterWrap):
    """As producers do that linger without a limit."""

    class _Lingering(SenderWrap):
        @override
        def offer(self) -> None:
            """Wait for more."""

        @override
        def push(self) -> None:
            self.inner.offer()
            super().push()

    @override
    def sender(self, sender: Sender, binding: Binding) -> Sender:
        return self._Lingering(sender) if is_program(binding) else sender


@saboteur("The broker's answers are looked at only when somebody waits.", "PUB-08")
class AnswersOnlyWhenAsked(AdapterWrap):
    """As clients do whose callbacks need a call to ``poll``."""

    class _Deaf(SourceWrap):
        def __init__(self, inner: Source) -> None:
            super().__init__(inner)
            self._answers: list[tuple[Outgoing, int, int, Outcome]] = []

        @override
        def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
            self._answers.append((batch, first, count, outcome))

        def poll(self) -> None:
            while self._answers:
                super().completed(*self._answers.pop(0))

    class _Polled(SenderWrap):
        def __init__(self, inner: Sender, source: AnswersOnlyWhenAsked._Deaf) -> None:
            super().__init__(inner)
            self._source = source

        @override
        def push(self) -> None:
            super().push()
            self._source.poll()

    @override
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        if not is_program(binding):
            return super().open_sender(binding, acks, source, timeout_s=timeout_s)
        deaf = self._Deaf(source)
        inner = self.inner.open_sender(binding, acks, deaf, timeout_s=timeout_s)
        return self._Polled(inner, deaf)


@saboteur(
    "Of a large batch, what does not fit at once is accepted and dropped.", "FAN-04", "PUB-05"
)
class DropsWhatDoesNotFit(AdapterWrap):
    """As programs do that do not look at the answer for each entry."""

    class _Fitting(SourceWrap):
        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            return range(min(_AT_ONCE, len(batch)))

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Fitting(source)


_LEAVING = ("ERR-17", "FAN-08", "PUB-15", "PUB-17")
"""Whoever publishes and goes before anybody consumes."""


@saboteur("What waits disappears with the connection that published it.", *_LEAVING)
def takes_its_messages_along(broker: BrokerUnderTest) -> BrokerUnderTest:
    """As queues do that are exclusive, or delete themselves."""
    subscriptions: dict[str, list[Subscription]] = {}

    class Exclusive(AdapterWrap):
        def __init__(self, inner: Adapter) -> None:
            super().__init__(inner)
            self._published: dict[str, Binding] = {}
            self._is_consuming = False

        @override
        def apply(self, change: Change, *, timeout_s: float) -> None:
            super().apply(change, timeout_s=timeout_s)
            if isinstance(change.spec, Subscription):
                known = subscriptions.setdefault(change.spec.topic.name, [])
                known.append(change.spec)

        @override
        def source(self, source: Source, binding: Binding) -> Source:
            if is_program(binding):
                self._published[binding.spec.name] = binding
            return source

        @override
        def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
            self._is_consuming = True
            return receiver

        @override
        def close(self, timeout_s: float) -> None:
            for topic, binding in self._published.items() if not self._is_consuming else ():
                for each in subscriptions.get(topic, ()):
                    assert isinstance(self.inner, SupportsPurge)
                    lost = Binding(
                        spec=each, profile=binding.profile, capabilities=binding.capabilities
                    )
                    self.inner.purge(lost, timeout_s=timeout_s)
            super().close(timeout_s)

    return OverWrapped(broker, Exclusive)


_COLLECTS_S = 0.03


class Collecting(AdapterWrap):
    """An adapter that collects for a moment what it reports as accepted.

    What it has collected when it is closed is gone.
    """

    class _Collected(SourceWrap):
        def __init__(self, inner: Source) -> None:
            super().__init__(inner)
            self.offer_again = _nothing
            self._lock = threading.Lock()
            self._collected: list[Outgoing] = []
            self._is_due = self._is_over = False

        @override
        def pull(self) -> Outgoing | None:
            while (batch := self.inner.pull()) is not None:
                self.inner.completed(batch, 0, len(batch), ACCEPTED)
                with self._lock:
                    self._collected.append(batch)
                    if len(self._collected) == 1:
                        threading.Timer(_COLLECTS_S, self._fall_due).start()
            with self._lock:
                if self._is_over:
                    self._collected.clear()
                if not self._is_due or not self._collected:
                    self._is_due = False
                    return None
                return self._collected.pop(0)

        @override
        def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
            """It was reported before."""

        def forget(self) -> None:
            with self._lock:
                self._is_over = True
                self._collected.clear()

        def _fall_due(self) -> None:
            self._is_due = True
            self.offer_again()

    class _Closing(SenderWrap):
        def __init__(self, inner: Sender, source: Collecting._Collected) -> None:
            super().__init__(inner)
            self._source = source

        @override
        def close(self, timeout_s: float) -> None:
            self._source.forget()
            super().close(timeout_s)

    @override
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        if not is_program(binding):
            return super().open_sender(binding, acks, source, timeout_s=timeout_s)
        collected = self._Collected(source)
        inner = self.inner.open_sender(binding, acks, collected, timeout_s=timeout_s)
        collected.offer_again = inner.offer
        return self._Closing(inner, collected)


def _nothing() -> None:
    """There is no sender yet."""


EARLY = (*_LEAVING, "FAN-05", "FAN-07", "LIF-22", "PUB-07", "PUB-10", "PUB-12", "PUB-53")
"""Whoever reports before the broker has answered cannot report what it answers."""


@saboteur("The last batch before a close is accepted and dropped.", *EARLY)
class DropsItsLastBatchOnClose(Collecting):
    """As client libraries do that are not flushed."""
