"""Brokers that spoil what comes again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from typing_extensions import override

from unibus.spi import Binding, Incoming, Receiver, Verdict, VerdictKind
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, ReceiverWrap
from unibus_contract.zoo.saboteur import saboteur


class Reading(ReceiverWrap):
    """Knows the body behind each verdict."""

    def __init__(self, inner: Receiver) -> None:
        super().__init__(inner)
        self._bodies: dict[object, Sequence[bytes | None]] = {}

    @override
    def take(self) -> Incoming | None:
        taken = super().take()
        if taken is not None:
            self._bodies[taken.ticket] = taken.bodies()
        return taken

    def body(self, verdict: Verdict) -> bytes:
        """Return the body of the first delivery that *verdict* is about."""
        return self._bodies[verdict.ticket][verdict.first] or b""


def acked(verdict: Verdict) -> Verdict:
    """Return an ack in place of *verdict*."""
    return Verdict(verdict.ticket, verdict.first, verdict.count, VerdictKind.ACK)


@saboteur("What was nacked for the third time is gone.", "RED-02", "DLQ-56")
def drops_what_failed_three_times(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Have a limit that nobody asked for, as RabbitMQ 4 has at twenty."""
    failures: Counter[bytes] = Counter()

    class Impatient(Reading):
        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            super().settle([self._judged(each) for each in verdicts])

        def _judged(self, verdict: Verdict) -> Verdict:
            if verdict.kind is not VerdictKind.NACK:
                return verdict
            failures[self.body(verdict)] += 1
            return acked(verdict) if failures[self.body(verdict)] == 3 else verdict

    class Dropping(AdapterWrap):
        @override
        def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
            return Impatient(receiver)

    return OverWrapped(broker, Dropping)


@saboteur("A nack with a delay comes again at once.", "RED-04")
class ForgetsTheDelay(AdapterWrap):
    """Takes every delay for none."""

    class _Hasty(ReceiverWrap):
        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            for each in verdicts:
                each.delay_s = 0.0
            super().settle(verdicts)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Hasty(receiver)


@saboteur("Of nacks with a delay, a consumer's fifth is lost.", "RED-20")
class LosesTheFifthDelayedNack(AdapterWrap):
    """As timers do that share a slot."""

    class _Forgetful(ReceiverWrap):
        delayed = 0

        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            super().settle([self._judged(each) for each in verdicts])

        def _judged(self, verdict: Verdict) -> Verdict:
            if verdict.kind is VerdictKind.NACK and verdict.delay_s > 0:
                self.delayed += 1
                return acked(verdict) if self.delayed == 5 else verdict
            return verdict

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Forgetful(receiver)


@saboteur("A message that is released a second time is gone.", "RED-57")
def loses_what_is_released_twice(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Take it for handled when it comes back once more."""
    releases: Counter[bytes] = Counter()

    class Tired(Reading):
        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            super().settle([self._judged(each) for each in verdicts])

        def _judged(self, verdict: Verdict) -> Verdict:
            if verdict.kind is not VerdictKind.RELEASE:
                return verdict
            releases[self.body(verdict)] += 1
            return acked(verdict) if releases[self.body(verdict)] == 2 else verdict

    class Losing(AdapterWrap):
        @override
        def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
            return Tired(receiver)

    return OverWrapped(broker, Losing)
