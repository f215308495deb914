"""A core that misbehaves: what opening, closing and asking promise."""

from __future__ import annotations

from typing import Any, Self, cast

from typing_extensions import override

from unibus import Batch, Bus, Consumer, Delivery
from unibus.clock import Clock
from unibus.errors import ClosedError, DeadlineExceededError
from unibus.requirements import Requirements
from unibus.spi import Adapter
from unibus_contract.zoo.facade import Facade
from unibus_contract.zoo.saboteur import saboteur


@saboteur("A second close of a bus raises.", "LIF-02")
class MindsASecondClose(Bus):
    """As objects do that take closing for an ordinary call."""

    _was_closed = False

    @override
    def close(self, timeout_s: float = 10.0) -> None:
        if self._was_closed:
            raise ClosedError("the bus is closed")
        self._was_closed = True
        super().close(timeout_s)


@saboteur("A closed consumer gives empty batches for ever.", "LIF-04")
class KeepsAnsweringWhenClosed(Bus):
    """So that a program's loop never learns that it has ended."""

    class _Polite(Facade):
        def receive(self, max_messages: int = 1, *, timeout_s: float) -> Batch[Delivery]:
            try:
                return cast(
                    "Batch[Delivery]", self.inner.receive(max_messages, timeout_s=timeout_s)
                )
            except ClosedError:
                return Batch([], Delivery)

    @override
    def consumer(self, *arguments: Any, **settings: Any) -> Consumer:
        return cast("Consumer", self._Polite(super().consumer(*arguments, **settings)))


@saboteur("Receiving when nothing waits raises.", "ACK-02")
class TakesNothingForAnError(Bus):
    """As clients do that find an empty queue exceptional; it stops with the first message."""

    class _Nervous(Facade):
        has_come = False

        def receive(self, max_messages: int = 1, *, timeout_s: float) -> Batch[Delivery]:
            batch = cast("Batch[Delivery]", self.inner.receive(max_messages, timeout_s=timeout_s))
            self.has_come = self.has_come or len(batch) > 0
            if not self.has_come:
                raise DeadlineExceededError("nothing came")
            return batch

    @override
    def consumer(self, *arguments: Any, **settings: Any) -> Consumer:
        return cast("Consumer", self._Nervous(super().consumer(*arguments, **settings)))


@saboteur("Whatever is required is granted.", "CAP-50")
class GrantsWhateverIsRequired(Bus):
    """And the program finds out in production."""

    @classmethod
    @override
    def over(
        cls,
        adapter: Adapter,
        *,
        clock: Clock | None = None,
        require: Requirements | None = None,
        profile: str | None = None,
    ) -> Self:
        del require
        return super().over(adapter, clock=clock, profile=profile)
