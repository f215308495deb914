"""Adapters and cores whose errors help nobody, or never come."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from typing_extensions import override

from unibus import Bus, Consumer, Producer, Receipt
from unibus.errors import (
    ClosedError,
    ConfigurationError,
    MessageRejectedError,
    NotFoundError,
    OverloadedError,
    PublishFailedError,
    UnroutableError,
)
from unibus.outcome import Outcome, rejected
from unibus.spi import (
    AcksLevel,
    Binding,
    Change,
    Events,
    Flow,
    Receiver,
    Sender,
    Source,
    Spec,
    Subscription,
    Topic,
)
from unibus_contract.wrap import AdapterWrap
from unibus_contract.zoo.facade import BusWithProducers, Facade, ProducerFacade
from unibus_contract.zoo.saboteur import saboteur
from unibus_contract.zoo.saboteurs.publish_outcomes import Misreporting


@saboteur("Opening what does not exist creates it.", "DLQ-61", "ERR-01", "ERR-08")
class CreatesWhatIsMissing(AdapterWrap):
    """As Kafka does, so that a misspelt name is a topic."""

    @override
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        with suppress(NotFoundError):
            return super().open_sender(binding, acks, source, timeout_s=timeout_s)
        self._create(binding.spec)
        return super().open_sender(binding, acks, source, timeout_s=timeout_s)

    @override
    def open_receiver(
        self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
    ) -> Receiver:
        with suppress(NotFoundError):
            return super().open_receiver(binding, flow, events, timeout_s=timeout_s)
        self._create(binding.spec)
        return super().open_receiver(binding, flow, events, timeout_s=timeout_s)

    def _create(self, spec: Topic | Subscription) -> None:
        specs = (spec.topic, spec) if isinstance(spec, Subscription) else (spec,)
        for each in specs:
            for change in self.plan((replace(each, managed=True),), timeout_s=1.0):
                self.apply(change, timeout_s=1.0)


@saboteur("What is not managed is taken to be there.", "ERR-08")
class BelievesWhatIsNotManaged(AdapterWrap):
    """Instead of looking."""

    @override
    def inspect(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Spec]:
        found = super().inspect(specs, timeout_s=timeout_s)
        return [*found, *(each for each in specs if not each.managed and each not in found)]


class _Loud(ProducerFacade):
    @override
    def publish(self, *arguments: object, **fields: object) -> Receipt:
        try:
            return super().publish(*arguments, **fields)
        except MessageRejectedError as error:
            raise type(error)(f"{error}: {arguments} {fields}") from error


@saboteur("An error of a publish shows the message.", "ERR-02")
class ShowsTheMessage(BusWithProducers):
    """As logs do that nobody may keep."""

    facade = _Loud


class _MaybeLaterError(UnroutableError):
    retryable: ClassVar[bool] = True


@saboteur("What nobody wants is said to be worth another try.", "ERR-03")
class HopesForASubscription(AdapterWrap):
    """So that programs try for ever."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        def answer(outcome: Outcome) -> Outcome:
            if isinstance(outcome.cause, UnroutableError):
                return rejected(_MaybeLaterError(str(outcome.cause)))
            return outcome

        return Misreporting(source, answer)


class _Discreet(Facade):
    def flush(self, timeout_s: float = 30.0) -> None:
        with suppress(PublishFailedError):
            self.inner.flush(timeout_s)


@saboteur("flush keeps failures to itself.", "ERR-06")
class KeepsFailuresToItself(BusWithProducers):
    """As clients do that have a callback for it."""

    facade = _Discreet


@saboteur("Arguments that cannot be are taken for the defaults.", "ERR-07")
class TakesTheDefaultInstead(Bus):
    """So that nobody knows what is in force."""

    @override
    def producer(self, *arguments: Any, **settings: Any) -> Producer:
        with suppress(ConfigurationError):
            return super().producer(*arguments, **settings)
        return super().producer(*arguments)

    @override
    def consumer(self, *arguments: Any, **settings: Any) -> Consumer:
        with suppress(ConfigurationError):
            return super().consumer(*arguments, **settings)
        return super().consumer(*arguments)


@saboteur("Names that differ by case are names of one thing.", "ERR-09", "FAN-02")
class FoldsTheCaseOfNames(AdapterWrap):
    """As file systems do."""

    @override
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        return super().open_sender(_folded(binding), acks, source, timeout_s=timeout_s)

    @override
    def open_receiver(
        self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
    ) -> Receiver:
        return super().open_receiver(_folded(binding), flow, events, timeout_s=timeout_s)

    @override
    def plan(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Change]:
        return super().plan([_lower(each) for each in specs], timeout_s=timeout_s)


def _folded(binding: Binding) -> Binding:
    spec = binding.spec
    if isinstance(spec, Subscription):
        return replace(binding, spec=_lower(replace(spec, topic=_lower(spec.topic))))
    return replace(binding, spec=_lower(spec))


def _lower(spec: Any) -> Any:  # noqa: ANN401  # a spec of any kind
    if isinstance(spec, Subscription):
        return replace(spec, name=spec.name.lower(), topic=_lower(spec.topic))
    return replace(spec, name=spec.name.lower())


class _Late(ProducerFacade):
    last: Receipt

    @override
    def publish(self, *arguments: object, **fields: object) -> Receipt:
        with suppress(ClosedError):
            self.last = super().publish(*arguments, **fields)
        return self.last


@saboteur("What is published to a closed producer is dropped without a word.", "ERR-17", "LIF-04")
class TakesMessagesToTheGrave(BusWithProducers):
    """As threads do that publish while another one closes."""

    facade = _Late


@saboteur(
    "A full queue is said to be the message's own fault.",
    "ERR-18",
    harness="rabbitmq",
    profile="rabbitmq",
)
class BlamesTheMessage(AdapterWrap):
    """So that programs throw away what would have had room later."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        def answer(outcome: Outcome) -> Outcome:
            if isinstance(outcome.cause, OverloadedError):
                return rejected(MessageRejectedError(str(outcome.cause)))
            return outcome

        return Misreporting(source, answer)


class _Lenient(ProducerFacade):
    @override
    def publish(self, *arguments: object, **fields: object) -> Receipt:
        with suppress(MessageRejectedError):
            return super().publish(*arguments, **fields)
        kept = {name: each for name, each in fields.items() if name not in {"delay_s", "ttl_s"}}
        return super().publish(*arguments, **kept)


@saboteur("A delay or lifetime that cannot be is left out.", "ERR-19")
class LeavesOutImpossibleTimes(BusWithProducers):
    """So that what was to come later comes at once."""

    facade = _Lenient
