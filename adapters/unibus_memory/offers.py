"""When senders are emptied: as late as nobody can tell, so that batches become large."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from unibus.spi import Clock


class Offering(Protocol):
    """A sender that has something to pull."""

    def deliver(self) -> None:
        """Pull all of it, on this thread."""


class Offers:
    """Senders that have something nobody waits for.

    A loop of plain publishes offers its first message, and would be emptied a message at a time.
    So a sender is emptied when somebody looks at the broker or waits for a receipt, and otherwise
    as soon as the clock's thread comes to it. Thread-safe.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: deque[Offering] = deque()
        self._is_armed = False

    def put_off(self, sender: Offering) -> None:
        """Empty *sender* a little later."""
        self._waiting.append(sender)
        if not self._is_armed:
            self._is_armed = True
            self._clock.call_at(self._clock.now(), self._ring)

    def catch_up(self) -> None:
        """Empty every sender that was put off. No lock may be held."""
        waiting = self._waiting
        while waiting:
            try:
                sender = waiting.popleft()
            except IndexError:  # another thread was quicker
                return
            sender.deliver()

    def _ring(self) -> None:
        self._is_armed = False
        self.catch_up()
