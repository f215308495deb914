"""Brokers that mix up topics, or forget those who subscribe."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from typing_extensions import override

from unibus.spi import (
    AcksLevel,
    Adapter,
    Binding,
    Capabilities,
    Change,
    Events,
    Flow,
    Incoming,
    Message,
    Outgoing,
    Receiver,
    Sender,
    Source,
    Spec,
    Subscription,
)
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, ReceiverWrap, SourceWrap
from unibus_contract.zoo.resending import Resender
from unibus_contract.zoo.saboteur import saboteur
from unibus_contract.zoo.saboteurs.publishing import counter

S = TypeVar("S", bound=Spec)


class Starved(ReceiverWrap):
    """Gets nothing."""

    @override
    def take(self) -> Incoming | None:
        return None


def _lowered(spec: S) -> S:
    if isinstance(spec, Subscription):
        return replace(spec, topic=replace(spec.topic, name=spec.topic.name.lower()))
    return replace(spec, name=spec.name.lower())


@saboteur("Topics whose names differ in letter case alone are one.", "FAN-02", "ERR-09")
class LowersTopicNames(AdapterWrap):
    """As file systems do that a broker keeps its logs on."""

    @override
    def plan(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Change]:
        return super().plan([_lowered(each) for each in specs], timeout_s=timeout_s)

    @override
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        lowered = replace(binding, spec=_lowered(binding.spec))
        return super().open_sender(lowered, acks, source, timeout_s=timeout_s)


@saboteur("The twelfth consumer of a connection gets nothing.", "FAN-03")
class CarriesElevenConsumers(AdapterWrap):
    """As a limit of channels does that nobody reports."""

    _opened = 0

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        self._opened += 1
        return receiver if self._opened < 12 else Starved(receiver)


@saboteur("A topic drops what comes once a thousand wait in a subscription nobody reads.", "FAN-04")
def is_full_when_one_subscription_is(broker: BrokerUnderTest) -> BrokerUnderTest:
    """One queue with a length limit, and what does not fit there is refused for all."""
    unread: defaultdict[str, set[str]] = defaultdict(set)
    read: set[str] = set()

    class Dropping(SourceWrap):
        def __init__(self, inner: Source, topic: str) -> None:
            super().__init__(inner)
            self._topic = topic

        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            indexes = range(len(batch))
            if self._topic not in read or not unread[self._topic]:
                return indexes
            return [index for index in indexes if counter(batch.bodies[index]) < 1000]

    class Limited(AdapterWrap):
        @override
        def apply(self, change: Change, *, timeout_s: float) -> None:
            super().apply(change, timeout_s=timeout_s)
            if isinstance(change.spec, Subscription):
                unread[change.spec.topic.name].add(change.spec.name)

        @override
        def source(self, source: Source, binding: Binding) -> Source:
            return Dropping(source, binding.spec.name)

        @override
        def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
            if isinstance(binding.spec, Subscription):
                read.add(binding.spec.topic.name)
                unread[binding.spec.topic.name].discard(binding.spec.name)
            return receiver

    return OverWrapped(broker, Limited)


@saboteur("A subscription that is deleted stays.", "FAN-05", "PUB-53")
class DeletesNoSubscription(AdapterWrap):
    """And gathers what nobody reads."""

    @override
    def delete(self, spec: Spec, *, timeout_s: float) -> None:
        if not isinstance(spec, Subscription):
            super().delete(spec, timeout_s=timeout_s)


@saboteur("What nobody was there for is kept for the first who subscribes.", "FAN-07")
def keeps_what_nobody_was_there_for(broker: BrokerUnderTest) -> BrokerUnderTest:
    """As a log does that a new reader begins at its beginning."""
    missed: defaultdict[str, list[Message]] = defaultdict(list)
    subscribed: set[str] = set()

    class Keeping(SourceWrap):
        def __init__(self, inner: Source, topic: str) -> None:
            super().__init__(inner)
            self._topic = topic

        @override
        def pull(self) -> Outgoing | None:
            batch = super().pull()
            if batch is not None and self._topic not in subscribed:
                missed[self._topic] += map(batch.message, range(len(batch)))
            return batch

    class Generous(AdapterWrap):
        @override
        def apply(self, change: Change, *, timeout_s: float) -> None:
            super().apply(change, timeout_s=timeout_s)
            if isinstance(change.spec, Subscription):
                subscribed.add(change.spec.topic.name)

        @override
        def source(self, source: Source, binding: Binding) -> Source:
            return Keeping(source, binding.spec.name)

        @override
        def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
            spec = binding.spec
            kept = missed.pop(spec.topic.name, []) if isinstance(spec, Subscription) else []
            if kept:
                resender = Resender(self.inner, binding)
                for message in kept:
                    resender.send(message)
            return receiver

    return OverWrapped(broker, Generous)


@saboteur(
    "What a connection published goes with it, if nobody has come to read.",
    "FAN-08",
    "PUB-15",
    "PUB-17",
    "ERR-17",
)
def keeps_nothing_of_those_who_left(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Take what was published for a conversation."""
    subscriptions: defaultdict[str, set[Subscription]] = defaultdict(set)
    read: set[str] = set()

    class Fleeting(AdapterWrap):
        def __init__(self, inner: Adapter) -> None:
            super().__init__(inner)
            self._published: set[str] = set()

        @override
        def apply(self, change: Change, *, timeout_s: float) -> None:
            super().apply(change, timeout_s=timeout_s)
            if isinstance(change.spec, Subscription):
                subscriptions[change.spec.topic.name].add(change.spec)

        @override
        def source(self, source: Source, binding: Binding) -> Source:
            self._published.add(binding.spec.name)
            return source

        @override
        def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
            if isinstance(binding.spec, Subscription):
                read.add(binding.spec.topic.name)
            return receiver

        @override
        def close(self, timeout_s: float) -> None:
            for topic in self._published - read:
                for each in subscriptions[topic]:
                    profile = self.profiles[0]
                    whole = Binding(spec=each, profile=profile, capabilities=Capabilities())
                    self.purge(whole, timeout_s=timeout_s)
            super().close(timeout_s)

    return OverWrapped(broker, Fleeting)


@saboteur("Of consumers that are opened at the same moment, one gets nothing.", "FAN-09")
class OpensOneAtATime(AdapterWrap):
    """As a client does that waits for one answer and takes that of another call for it."""

    _inside = 0
    _has_failed = False
    _pace = threading.Event()  # never set: it only takes its time

    @override
    def open_receiver(
        self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
    ) -> Receiver:
        self._inside += 1
        self._pace.wait(0.01)
        is_unlucky = self._inside > 1 and not self._has_failed
        self._has_failed = self._has_failed or is_unlucky
        receiver = super().open_receiver(binding, flow, events, timeout_s=timeout_s)
        self._inside -= 1
        return Starved(receiver) if is_unlucky else receiver
