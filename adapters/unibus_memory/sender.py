"""Publishes to the broker in this process, on whatever thread comes to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import groupby

from typing_extensions import override

from unibus.spi import (
    ACCEPTED,
    ConnectionLostError,
    Link,
    NotFoundError,
    Outcome,
    Outgoing,
    Sender,
    Source,
    Subscription,
    Topic,
    UnroutableError,
    rejected,
    unknown,
)
from unibus_memory.broker import MemoryBroker
from unibus_memory.machine.chooser import PLAIN, Freedom


class MemorySender(Sender):
    """Pulls when somebody waits or looks; whoever comes second leaves it to the first."""

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
        broker.senders.add(self)

    @override
    def offer(self) -> None:
        self._wanted = True
        if self._broker.is_awaited(self._target):
            self.deliver()
        else:
            self._broker.offers.put_off(self)

    @override
    def push(self) -> None:
        self.deliver()

    @override
    def close(self, timeout_s: float) -> None:
        self._closed = True
        self._broker.senders.discard(self)

    def link(self, state: Link, cause: Exception | None) -> None:
        """Pass on that the broker went down or came up."""
        self._source.state(state, cause)

    def deliver(self) -> None:
        """Publish what was offered, unless another thread does."""
        # Wanted before the token is tried: the holder looks again after it gave the token back, so
        # an offer that comes while it is still draining is never lost.
        while self._wanted and not self._closed and self._token.acquire(blocking=False):
            try:
                self._wanted = False
                self._drain()
            finally:
                self._token.release()

    def _troubles(self) -> tuple[bool, bool]:
        """Return whether the next batch is lost on its way, and whether its answer is."""
        chooser = self._broker.chooser
        if chooser is PLAIN or not self._broker.breaks(self._target):
            return False, False
        return chooser.uses(Freedom.UNSTORED), chooser.uses(Freedom.UNANSWERED)

    def _drain(self) -> None:
        while (batch := self._source.pull()) is not None:
            for first, count, outcome in self._publish(batch):
                self._source.completed(batch, first, count, outcome)

    def _publish(self, batch: Outgoing) -> Iterator[tuple[int, int, Outcome]]:
        is_unstored, is_unanswered = self._troubles()
        try:
            unwanted = () if is_unstored else self._broker.publish(self._target, batch)
        except NotFoundError as error:
            yield 0, len(batch), rejected(error)
            return
        if is_unstored or is_unanswered:
            cause = ConnectionLostError("the connection to the memory broker was lost")
            yield 0, len(batch), unknown(cause)
            return
        if not unwanted or not self._reports_unroutable:
            yield 0, len(batch), ACCEPTED
            return
        unroutable = rejected(UnroutableError(f"no subscription of {self._target.name!r} matches"))
        lost = frozenset(unwanted)
        for is_lost, group in groupby(range(len(batch)), lost.__contains__):
            indexes = list(group)
            yield indexes[0], len(indexes), unroutable if is_lost else ACCEPTED
