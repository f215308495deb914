"""A core that misleads about what became of a settlement."""

from __future__ import annotations

import threading
from typing import Any

from typing_extensions import override

from unibus import Bus, Consumer
from unibus.errors import DeadlineExceededError, LeaseLostError
from unibus.outcome import SENT, SETTLED, Outcome, OutcomeKind, unknown
from unibus_contract.zoo.deliveries import (
    BatchFacade,
    BusWithDeliveries,
    ConsumerFacade,
    DeliveryFacade,
)
from unibus_contract.zoo.saboteur import saboteur


def is_lost(delivery: Any) -> bool:  # noqa: ANN401  # a delivery
    """Return whether the lease of *delivery* has ended before it was settled."""
    return delivery.outcome is not None and delivery.outcome.kind is OutcomeKind.LEASE_LOST


@saboteur("A delivery says that it is sent before it is settled.", "ACK-05")
class SpeaksTooEarly(BusWithDeliveries):
    """Takes no answer for a good one."""

    class _Eager(DeliveryFacade):
        @property
        def outcome(self) -> Outcome:
            return self.inner.outcome or SENT

    delivery = _Eager


@saboteur("An ack on another thread than the one that received is lost.", "ACK-56")
class KnowsOneThread(BusWithDeliveries):
    """As client libraries do whose connection belongs to one thread."""

    class _Bound(DeliveryFacade):
        def __init__(self, inner: object) -> None:
            super().__init__(inner)
            self._home = threading.get_ident()

        def ack(self) -> None:
            if threading.get_ident() == self._home:
                self.inner.ack()

    delivery = _Bound


@saboteur("At most once is taken for at least once.", "ACK-57", "ACK-58")
class TakesAtMostOnceForAtLeastOnce(Bus):
    """Nothing is settled before the program does so."""

    @override
    def consumer(self, *arguments: Any, **settings: Any) -> Consumer:
        return super().consumer(*arguments, **{**settings, "delivery": "at_least_once"})


@saboteur("A flush does not say that something came too late.", "ACK-59")
class FlushesWithoutAWord(BusWithDeliveries):
    """Logs it, at best."""

    class _Silent(ConsumerFacade):
        def flush(self, timeout_s: float = 30.0) -> None:
            try:
                self.inner.flush(timeout_s)
            except LeaseLostError:
                return

    receiving = _Silent


@saboteur("Acks wait until the program receives, flushes or closes.", "ACK-61")
class AcksWhenItIsCalledAgain(BusWithDeliveries):
    """As clients do that send with the next poll."""

    class _Lazy(ConsumerFacade):
        def __init__(self, inner: Any, bus: BusWithDeliveries) -> None:  # noqa: ANN401  # a consumer
            super().__init__(inner, bus)
            self.waiting: list[Any] = []

        @override
        def delivery(self, inner: object) -> DeliveryFacade:
            return AcksWhenItIsCalledAgain._Waiting(inner, self)

        def say(self) -> None:
            waiting, self.waiting = self.waiting, []
            for each in waiting:
                each.ack()

        @override
        def receive(self, *arguments: object, **settings: object) -> BatchFacade:
            self.say()
            return super().receive(*arguments, **settings)

        def flush(self, timeout_s: float = 30.0) -> None:
            self.say()
            self.inner.flush(timeout_s)

        def close(self, timeout_s: float = 10.0) -> None:
            self.say()
            self.inner.close(timeout_s)

    class _Waiting(DeliveryFacade):
        def __init__(self, inner: object, consumer: AcksWhenItIsCalledAgain._Lazy) -> None:
            super().__init__(inner)
            self._consumer = consumer

        def ack(self) -> None:
            if self._consumer.inner.is_closed:
                self.inner.ack()
            else:
                self._consumer.waiting.append(self.inner)

        def wait_settled(self, timeout_s: float = 30.0) -> Outcome:
            self._consumer.say()
            return self._final(self.inner.wait_settled(timeout_s))

        def _final(self, outcome: Outcome | None) -> Outcome:
            if outcome is None:
                raise DeadlineExceededError("no answer")
            return outcome

    receiving = _Lazy


@saboteur(
    "An ack that came too late is said to be settled.", "ACK-50", "ACK-51", "ACK-62", "RED-53"
)
class SaysSettledTooLate(BusWithDeliveries):
    """As services do whose receipts outlive what they stand for."""

    class _Pleasing(DeliveryFacade):
        has_acked = False

        def ack(self) -> None:
            self.has_acked = True
            self.inner.ack()

        @property
        def outcome(self) -> Outcome | None:
            found: Outcome | None = self.inner.outcome
            return SETTLED if self.has_acked and is_lost(self.inner) else found

        def wait_settled(self, timeout_s: float = 30.0) -> Outcome:
            found: Outcome = self.inner.wait_settled(timeout_s)
            return self.outcome or found

    delivery = _Pleasing


@saboteur("What became of a release that came too late is said to be unknown.", "ACK-51")
class DoesNotKnowALateRelease(BusWithDeliveries):
    """So that a program does what it need not."""

    class _Vague(DeliveryFacade):
        has_released = False

        def release(self) -> None:
            self.has_released = True
            self.inner.release()

        @property
        def outcome(self) -> Outcome | None:
            found: Outcome | None = self.inner.outcome
            is_late = self.has_released and is_lost(self.inner)
            return unknown(DeadlineExceededError("no answer")) if is_late else found

        def wait_settled(self, timeout_s: float = 30.0) -> Outcome:
            found: Outcome = self.inner.wait_settled(timeout_s)
            return self.outcome or found

    delivery = _Vague


@saboteur("A delivery does not say that its lease has ended until it is settled.", "RED-13")
class KeepsALossToItself(BusWithDeliveries):
    """So that a handler goes on for nothing."""

    class _Reticent(DeliveryFacade):
        has_settled = False

        def _settle(self, verb: str, *arguments: object) -> None:
            self.has_settled = True
            getattr(self.inner, verb)(*arguments)

        def ack(self) -> None:
            self._settle("ack")

        def nack(self, delay_s: float = 0.0) -> None:
            self._settle("nack", delay_s)

        def release(self) -> None:
            self._settle("release")

        def reject(self, reason: str = "") -> None:
            self._settle("reject", reason)

        @property
        def outcome(self) -> Outcome | None:
            found: Outcome | None = self.inner.outcome
            return found if self.has_settled else None

    delivery = _Reticent
