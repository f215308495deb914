"""Brokers that do not share work as they should; what consumers share is known to all of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from typing_extensions import override

from unibus.spi import (
    Binding,
    Change,
    Events,
    Flow,
    Incoming,
    Message,
    Outgoing,
    Receiver,
    Source,
    Spec,
    Subscription,
    Topic,
    Verdict,
    VerdictKind,
)
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, ReceiverWrap, SourceWrap
from unibus_contract.zoo.resending import KnowingReceiver, Resender
from unibus_contract.zoo.saboteur import saboteur
from unibus_contract.zoo.saboteurs.publishing import counter


@saboteur(
    "Whoever comes second gets nothing while the first is there.", "GRP-01", "GRP-54", "GRP-55"
)
def gives_everything_to_the_first_consumer(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Take every subscription for an exclusive one."""
    served: defaultdict[str, list[tuple[Receiver, Events]]] = defaultdict(list)

    class Queueing(ReceiverWrap):
        def __init__(self, inner: Receiver, events: Events, name: str) -> None:
            super().__init__(inner)
            self._name = name
            served[name].append((self, events))

        @override
        def take(self) -> Incoming | None:
            line = served[self._name]
            return super().take() if line and line[0][0] is self else None

        @override
        def close(self, timeout_s: float) -> None:
            super().close(timeout_s)
            line = served[self._name]
            line[:] = [each for each in line if each[0] is not self]
            for _, events in line[:1]:
                events.ready()

    class Exclusive(AdapterWrap):
        @override
        def open_receiver(
            self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
        ) -> Receiver:
            receiver = super().open_receiver(binding, flow, events, timeout_s=timeout_s)
            return Queueing(receiver, events, binding.spec.name)

    return OverWrapped(broker, Exclusive)


@saboteur("Who stood by on a topic ordered as a whole never takes over.", "GRP-08", "GRP-54")
def never_lets_a_standby_take_over(broker: BrokerUnderTest) -> BrokerUnderTest:
    """As a broker that has not noticed that the consumer at work has gone."""
    at_work: dict[str, Receiver] = {}

    class Waiting(ReceiverWrap):
        @override
        def take(self) -> Incoming | None:
            return None

    class Faithful(AdapterWrap):
        @override
        def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
            spec = binding.spec
            is_ordered = isinstance(spec, Subscription) and spec.topic.ordering == "topic"
            is_first = at_work.setdefault(spec.name, receiver) is receiver
            return receiver if is_first or not is_ordered else Waiting(receiver)

    return OverWrapped(broker, Faithful)


@saboteur("With four consumers, one message in twenty goes to two of them.", "GRP-02")
def stores_twice_when_many_compete(broker: BrokerUnderTest) -> BrokerUnderTest:
    """A race that two consumers do not show."""
    competing: defaultdict[str, Counter[str]] = defaultdict(Counter)

    class Doubling(SourceWrap):
        def __init__(self, inner: Source, topic: str) -> None:
            super().__init__(inner)
            self._topic = topic

        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            indexes = range(len(batch))
            if max(competing[self._topic].values(), default=0) < 4:
                return indexes
            again = [index for index in indexes if counter(batch.bodies[index]) % 20 == 19]
            return sorted([*indexes, *again])

    class Leaving(ReceiverWrap):
        def __init__(self, inner: Receiver, spec: Subscription) -> None:
            super().__init__(inner)
            self._spec = spec

        @override
        def close(self, timeout_s: float) -> None:
            super().close(timeout_s)
            competing[self._spec.topic.name][self._spec.name] -= 1

    class Racing(AdapterWrap):
        @override
        def source(self, source: Source, binding: Binding) -> Source:
            return Doubling(source, binding.spec.name)

        @override
        def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
            spec = binding.spec
            assert isinstance(spec, Subscription)
            competing[spec.topic.name][spec.name] += 1
            return Leaving(receiver, spec)

    return OverWrapped(broker, Racing)


@saboteur("When a third consumer comes, what was settled last is sent again.", "GRP-09")
def sends_again_when_a_third_consumer_comes(broker: BrokerUnderTest) -> BrokerUnderTest:
    """As positions do that are one too low when the work is shared anew."""
    settled: defaultdict[str, list[Message]] = defaultdict(list)
    present: Counter[str] = Counter()

    class Remembering(KnowingReceiver):
        def __init__(self, inner: Receiver, name: str) -> None:
            super().__init__(inner)
            self._name = name

        @override
        def decided(self, verdict: Verdict, message: Message) -> None:
            if verdict.kind is VerdictKind.ACK and counter(message.body):
                settled[self._name].append(message)

        @override
        def close(self, timeout_s: float) -> None:
            super().close(timeout_s)
            present[self._name] -= 1

    class Forgetting(AdapterWrap):
        @override
        def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
            spec = binding.spec
            assert isinstance(spec, Subscription)
            present[spec.name] += 1
            if present[spec.name] == 3 and settled[spec.name] and spec.topic.ordering == "none":
                Resender(self.inner, binding).send(settled[spec.name][-1])
            return Remembering(receiver, spec.name)

    return OverWrapped(broker, Forgetting)


@saboteur("Who works says that it is idle.", "GRP-54")
class SaysThatItIsIdle(AdapterWrap):
    """And whoever scales by that starts no end of consumers."""

    class _Idle(ReceiverWrap):
        @override
        def is_idle(self) -> bool:
            return True

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Idle(receiver)


@saboteur("A consumer is sent whatever waits, however little it may hold.", "GRP-01", "GRP-55")
class SendsWhateverWaits(AdapterWrap):
    """As a prefetch without limit does."""

    @override
    def open_receiver(
        self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
    ) -> Receiver:
        unlimited = flow._replace(max_batch=1000, max_unsettled=1000)
        return super().open_receiver(binding, unlimited, events, timeout_s=timeout_s)


@saboteur("A subscription that three declare at once is there twice.", "GRP-57")
def declares_once_for_each_who_asks(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Look first and create then, which others do as well in between."""
    declared: defaultdict[str, set[int]] = defaultdict(set)

    class Doubling(SourceWrap):
        def __init__(self, inner: Source, topic: str) -> None:
            super().__init__(inner)
            self._topic = topic

        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            indexes = range(len(batch))
            return sorted([*indexes] * (2 if len(declared[self._topic]) > 2 else 1))

    class Racing(AdapterWrap):
        @override
        def plan(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Change]:
            for spec in specs:
                declared[spec.name].add(id(self))
            return super().plan(specs, timeout_s=timeout_s)

        @override
        def source(self, source: Source, binding: Binding) -> Source:
            is_topic = isinstance(binding.spec, Topic)
            return Doubling(source, binding.spec.name) if is_topic else source

    return OverWrapped(broker, Racing)
