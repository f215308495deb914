"""Closing within one budget: every step is taken, whatever the others raise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from unibus.clock import Clock
from unibus.errors import PublishFailedError, UnibusError

_LEAST_S: Final = 0.001  # the SPI's timeouts are greater than 0


class Budget:
    """Seconds that several steps share, counted from when it was made."""

    __slots__ = ("_clock", "_end")

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self._clock = clock
        self._end = clock.now() + timeout_s

    @property
    def left_s(self) -> float:
        """What is left, never less than a millisecond: a late step still does what is quick."""
        return max(self._end - self._clock.now(), _LEAST_S)

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self._clock.now() >= self._end


class Closing:
    """Takes the steps of a close, one after the other, and remembers what went wrong.

    The order of a bus: consumers (finish the handlers, settle, wait until the broker has it),
    relays (retries and dead letters that the consumers left), producers (flush), the connection.
    """

    __slots__ = ("_errors", "budget")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._errors: list[UnibusError] = []

    def step(self, close: Callable[[float], None]) -> None:
        """Call *close* with the seconds that are left."""
        try:
            close(self.budget.left_s)
        except UnibusError as error:
            self._errors.append(error)

    async def step_on_loop(self, close: Callable[[float], Awaitable[None]]) -> None:
        """Await *close* in the same way."""
        try:
            await close(self.budget.left_s)
        except UnibusError as error:
            self._errors.append(error)

    def finish(self) -> None:
        """Raise what went wrong, if anything did.

        Raises:
            PublishFailedError: With the receipts of every producer that left some undecided or
                rejected; whatever else went wrong is a note on it.
            UnibusError: The first error, if none was about publishing.
        """
        failures = [each for each in self._errors if isinstance(each, PublishFailedError)]
        others = [each for each in self._errors if not isinstance(each, PublishFailedError)]
        if len(failures) > 1:
            receipts = tuple(receipt for each in failures for receipt in each.failures)
            failures = [PublishFailedError("; ".join(map(str, failures)), receipts)]
        met = [*failures, *others]
        if not met:
            return
        first, *rest = met
        for each in rest:
            first.add_note(f"closing also met {type(each).__name__}: {each}")
        raise first
