"""Adapters that do not say what became of a publish."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from typing_extensions import override

from unibus.errors import NotFoundError, UnroutableError
from unibus.outcome import ACCEPTED, Outcome, rejected
from unibus.spi import (
    AcksLevel,
    Adapter,
    Binding,
    Change,
    Outgoing,
    Sender,
    Source,
    Spec,
    Subscription,
    SupportsDelete,
    compile_filter,
)
from unibus_contract.harness import BrokerUnderTest, Faults
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, SourceWrap
from unibus_contract.zoo.saboteur import saboteur

Answer = Callable[[Outcome], Outcome]


class Misreporting(SourceWrap):
    """Reports *answer* of each outcome in its place."""

    def __init__(self, inner: Source, answer: Answer) -> None:
        super().__init__(inner)
        self._answer = answer

    @override
    def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
        super().completed(batch, first, count, self._answer(outcome))


class Early(SourceWrap):
    """Reports as accepted whatever is handed over."""

    @override
    def pull(self) -> Outgoing | None:
        batch = self.inner.pull()
        if batch is not None:
            self.inner.completed(batch, 0, len(batch), ACCEPTED)
        return batch

    @override
    def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
        """It was reported before."""


@saboteur(
    "What is handed over is accepted, whatever the broker says.",
    *("PUB-07", "PUB-10", "PUB-12", "PUB-53"),
)
class ConfirmsBeforeTheBrokerDoes(AdapterWrap):
    """As clients do that do not ask for confirms."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return Early(source)


@saboteur("What nobody wants is accepted.", "PUB-07", "PUB-10", "PUB-53")
class AcceptsWhatNobodyWants(AdapterWrap):
    """As RabbitMQ does for publishes that are not mandatory."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return Misreporting(source, _accept(UnroutableError))


@saboteur("Publishing to a topic that is gone is accepted.", "PUB-12")
class AcceptsForADeletedTopic(AdapterWrap):
    """As brokers do that take a missing address for one without readers."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return Misreporting(source, _accept(NotFoundError))


def _accept(*causes: type[Exception]) -> Answer:
    return lambda outcome: ACCEPTED if isinstance(outcome.cause, causes) else outcome


@saboteur("One refused message of a batch makes all of it fail.", "PUB-07")
class FailsTheWholeBatch(AdapterWrap):
    """As clients do whose batch has one error."""

    class _Whole(SourceWrap):
        def __init__(self, inner: Source) -> None:
            super().__init__(inner)
            self._outcomes: dict[Outgoing, list[Outcome]] = {}

        @override
        def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
            so_far = self._outcomes.setdefault(batch, [])
            so_far += [outcome] * count
            if len(so_far) == len(batch):
                del self._outcomes[batch]
                worst = next((each for each in so_far if each.cause is not None), ACCEPTED)
                super().completed(batch, 0, len(batch), worst)

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Whole(source)


class _Subscribed(AdapterWrap):
    """Knows what is subscribed to what, through all connections that share *subscriptions*."""

    def __init__(self, inner: Adapter, subscriptions: dict[str, Subscription]) -> None:
        super().__init__(inner)
        self._subscriptions = subscriptions

    def of(self, topic: str) -> Sequence[Subscription]:
        return [each for each in self._subscriptions.values() if each.topic.name == topic]

    @override
    def apply(self, change: Change, *, timeout_s: float) -> None:
        super().apply(change, timeout_s=timeout_s)
        if isinstance(change.spec, Subscription):
            self._subscriptions[change.spec.name] = change.spec

    @override
    def delete(self, spec: Spec, *, timeout_s: float) -> None:
        super().delete(spec, timeout_s=timeout_s)
        self._subscriptions.pop(spec.name, None)


@saboteur("A topic without any subscription takes what is published to it.", "PUB-53")
def welcomes_everything_to_a_lonely_topic(broker: BrokerUnderTest) -> BrokerUnderTest:
    """As brokers do that look for a route only where there are some."""
    subscriptions: dict[str, Subscription] = {}

    class Welcoming(_Subscribed):
        @override
        def source(self, source: Source, binding: Binding) -> Source:
            unroutable = _accept(UnroutableError)

            def answer(outcome: Outcome) -> Outcome:
                return outcome if self.of(binding.spec.name) else unroutable(outcome)

            return Misreporting(source, answer)

    return OverWrapped(broker, lambda adapter: Welcoming(adapter, subscriptions))


@saboteur("What nobody wants is rejected although it is to be dropped.", "PUB-11", profile="sqs")
def minds_what_nobody_wants(broker: BrokerUnderTest) -> BrokerUnderTest:
    """So that publishing depends on who is subscribed."""
    subscriptions: dict[str, Subscription] = {}

    class Picky(SourceWrap):
        def __init__(self, inner: Source, adapter: _Subscribed, topic: str) -> None:
            super().__init__(inner)
            self._adapter = adapter
            self._topic = topic

        @override
        def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
            filters = [compile_filter(each.filter) for each in self._adapter.of(self._topic)]
            for index in range(first, first + count):
                is_wanted = any(each(batch.message(index)) for each in filters) or not filters
                found = outcome if is_wanted else rejected(UnroutableError("nobody wants it"))
                super().completed(batch, index, 1, found)

    class Minding(_Subscribed):
        @override
        def source(self, source: Source, binding: Binding) -> Source:
            return Picky(source, self, binding.spec.name)

    return OverWrapped(broker, lambda adapter: Minding(adapter, subscriptions))


@saboteur("Messages that were published with acks='none' do not arrive.", "PUB-18")
class CarriesOnlyWhatIsAcknowledged(AdapterWrap):
    """As adapters do that have one way of publishing that somebody tested."""

    @override
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        kept = self._Losing(source) if acks == "none" else source
        return super().open_sender(binding, acks, kept, timeout_s=timeout_s)

    class _Losing(SourceWrap):
        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            return ()


@saboteur("A restart loses what waits.", "PUB-52")
def keeps_everything_in_memory(broker: BrokerUnderTest) -> BrokerUnderTest:
    """As brokers do for what is not durable."""
    subscriptions: dict[str, tuple[AdapterWrap, Binding]] = {}

    class Known(AdapterWrap):
        @override
        def apply(self, change: Change, *, timeout_s: float) -> None:
            super().apply(change, timeout_s=timeout_s)
            if isinstance(change.spec, Subscription):
                profile = self.profiles[0]
                subscriptions[change.spec.name] = (
                    self,
                    Binding(spec=change.spec, profile=profile, capabilities=profile.capabilities),
                )

        @override
        def delete(self, spec: Spec, *, timeout_s: float) -> None:
            assert isinstance(self.inner, SupportsDelete)
            super().delete(spec, timeout_s=timeout_s)
            subscriptions.pop(spec.name, None)

    class Forgetful(Faults):
        kinds = broker.faults.kinds

        @override
        def restart(self) -> None:
            for adapter, binding in subscriptions.values():
                adapter.purge(binding, timeout_s=1.0)
            broker.faults.restart()

        @override
        def lose_leases(self, subscription: Subscription) -> None:
            broker.faults.lose_leases(subscription)

    spoiled = OverWrapped(broker, Known)
    spoiled.faults = Forgetful()
    return spoiled
