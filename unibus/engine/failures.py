"""The failed publishes that a producer has to report because nobody has looked at them."""

from __future__ import annotations

from typing import Final

from unibus.engine.pending import Pending
from unibus.engine.receipts import Receipt, publish_failed
from unibus.errors import PublishFailedError

_KEPT: Final = 1000  # a flush that never comes must not keep every failed message in memory


class Failures:
    """Collects failed batches. Not thread-safe: the outbox's lock is held around every call."""

    __slots__ = ("_batches", "_dropped", "_kept")

    def __init__(self) -> None:
        self._batches: dict[Pending, int] = {}
        self._kept = 0
        self._dropped = 0

    def add(self, batch: Pending, count: int) -> None:
        """Note that *count* more messages of *batch* failed."""
        if self._kept >= _KEPT:
            self._dropped += count
            return
        self._batches[batch] = self._batches.get(batch, 0) + count
        self._kept += count

    def discard(self, batch: Pending) -> None:
        """Forget *batch* if every failure in it has been looked at."""
        if not batch.has_unseen_failures:
            self._kept -= self._batches.pop(batch, 0)

    def take(self) -> PublishFailedError | None:
        """Return the error that reports what nobody has looked at; from now on somebody has."""
        batches = sorted(self._batches, key=lambda batch: batch.number)
        dropped, self._dropped = self._dropped, 0
        self._batches, self._kept = {}, 0
        receipts = [Receipt((batch, i)) for batch in batches for i in batch.take_unseen_failures()]
        return publish_failed(receipts, dropped) if receipts or dropped else None
