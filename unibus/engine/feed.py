"""Waiting for the next batch, on a thread."""

from __future__ import annotations

import time

from unibus.engine.inbox import Inbox
from unibus.engine.taken import Taken
from unibus.engine.translation import translated
from unibus.engine.watches import Gate
from unibus.spi import Adapter

SETTLED_AHEAD = 50
"""At most once, iterating: how many to settle at a time; one is a round trip each, many can be
lost with a crash."""


class Feed:
    """Hands one thread the batches of an inbox, and blocks it while there are none.

    Args:
        adapter: Translates what the receiver raises.
        inbox: Where batches come from.
        gate: What the inbox opens when there is something.
    """

    def __init__(self, adapter: Adapter, inbox: Inbox, gate: Gate) -> None:
        self._adapter = adapter
        self._inbox = inbox
        self._gate = gate

    def next(self, end: float | None, ahead: int) -> Taken | None:
        """Return a batch that has something to hand out; ``None`` when there is none.

        That is at *end*, a monotonic second (0 does not wait, ``None`` waits for ever), or when the
        consumer is closed. *ahead* is how many are settled, where that comes first.

        Raises:
            UnibusError: The way to the broker is lost for good.
        """
        inbox = self._inbox
        while True:
            with translated(self._adapter):
                taken = inbox.grab()
            if taken is None:
                if inbox.is_over:
                    return None
                inbox.check_link(self._adapter)
                if not self._gate.wait(_left_s(end)):
                    return None
            elif taken.next < taken.limit:
                return taken
            elif not self._settle_first(taken, ahead, end):
                return None

    def _settle_first(self, taken: Taken, ahead: int, end: float | None) -> bool:
        inbox = self._inbox
        done = inbox.settlements.settle_first(taken, ahead)
        inbox.settlements.watches.wait(lambda: done() or inbox.is_over, _left_s(end))
        if not done():
            return False
        inbox.settlements.confirm(taken)
        return True


def _left_s(end: float | None) -> float | None:
    return None if end is None else end - time.monotonic()
