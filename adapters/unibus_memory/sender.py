"""Publishes to the broker in this process, on the caller's own thread."""

from __future__ import annotations

import threading

from typing_extensions import override

from unibus.spi import (
    ACCEPTED,
    NotFoundError,
    Outcome,
    Outgoing,
    Sender,
    Source,
    Subscription,
    Topic,
    UnroutableError,
    rejected,
)
from unibus_memory.broker import MemoryBroker


class MemorySender(Sender):
    """Pulls at once whenever something is offered; whoever comes second leaves it to the first."""

    def __init__(
        self,
        broker: MemoryBroker,
        target: Topic | Subscription,
        source: Source,
        *,
        reports_unroutable: bool,
    ) -> None:
        self._broker = broker
        self._target = target
        self._source = source
        self._reports_unroutable = reports_unroutable
        self._token = threading.Lock()
        self._wanted = False
        self._closed = False

    @override
    def offer(self) -> None:
        # Set before the token is tried: the holder looks again after it gave the token back, so
        # an offer that comes while it is still draining is never lost.
        self._wanted = True
        while self._wanted and not self._closed and self._token.acquire(blocking=False):
            try:
                self._wanted = False
                self._drain()
            finally:
                self._token.release()

    @override
    def push(self) -> None:
        """Nothing lingers here."""

    @override
    def close(self, timeout_s: float) -> None:
        self._closed = True

    def _drain(self) -> None:
        while (batch := self._source.pull()) is not None:
            self._source.completed(batch, 0, len(batch), self._publish(batch))

    def _publish(self, batch: Outgoing) -> Outcome:
        try:
            routed = self._broker.publish(self._target, batch)
        except NotFoundError as error:
            return rejected(error)
        if routed or not self._reports_unroutable:
            return ACCEPTED
        return rejected(UnroutableError(f"no subscription of {self._target.name!r} matches"))
