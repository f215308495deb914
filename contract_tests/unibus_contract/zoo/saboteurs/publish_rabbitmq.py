"""Adapters of the real RabbitMQ that do not say what became of a publish."""

from __future__ import annotations

from typing_extensions import override

from unibus.outcome import ACCEPTED, Outcome, OutcomeKind, rejected
from unibus.spi import AcksLevel, Binding, Sender, Source
from unibus_contract.wrap import AdapterWrap
from unibus_contract.zoo.saboteur import saboteur
from unibus_contract.zoo.saboteurs.publish_outcomes import Early, Misreporting
from unibus_contract.zoo.saboteurs.publish_waiting import EARLY, Collecting


@saboteur(
    "What is written to RabbitMQ is accepted, whatever it says.",
    *("PUB-07", "PUB-10", "PUB-12", "PUB-20", "PUB-53", "PUB-54", "PUB-57"),
    harness="rabbitmq",
    profile="rabbitmq",
)
class ConfirmsBeforeRabbitMQDoes(AdapterWrap):
    """The same on the real one."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return Early(source)


@saboteur(
    "acks='none' waits for RabbitMQ's confirm.",
    "PUB-20",
    harness="rabbitmq",
    profile="rabbitmq",
)
class AlwaysAsksForAConfirm(AdapterWrap):
    """As adapters do that know one level."""

    @override
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        return super().open_sender(binding, "all", source, timeout_s=timeout_s)


_LOST = ("PUB-20", "PUB-54")


@saboteur(
    "What was on its way when the connection broke is accepted.",
    *_LOST,
    harness="rabbitmq",
    profile="rabbitmq",
)
class HopesForTheBest(AdapterWrap):
    """Takes a lost answer for a good one."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return Misreporting(source, lambda outcome: ACCEPTED if _is_unknown(outcome) else outcome)


@saboteur(
    "What was on its way when the connection broke is rejected.",
    *_LOST,
    harness="rabbitmq",
    profile="rabbitmq",
)
class FearsTheWorst(AdapterWrap):
    """Takes a lost answer for a bad one, so that programs publish it twice."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        def answer(outcome: Outcome) -> Outcome:
            is_lost = _is_unknown(outcome) and outcome.cause is not None
            return rejected(outcome.cause) if is_lost and outcome.cause else outcome

        return Misreporting(source, answer)


def _is_unknown(outcome: Outcome) -> bool:
    return outcome.kind is OutcomeKind.UNKNOWN


@saboteur(
    "The last batch before a close of RabbitMQ is accepted and dropped.",
    *EARLY,
    harness="rabbitmq",
    profile="rabbitmq",
)
class DropsItsLastBatchOnRabbitMQ(Collecting):
    """The same on the real one."""
