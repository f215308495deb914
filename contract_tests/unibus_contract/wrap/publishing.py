"""The publishing side of an adapter, seen through."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from unibus.outcome import ACCEPTED, Outcome
from unibus.spi import (
    Link,
    Outgoing,
    Sender,
    Source,
)


class SourceWrap(Source):
    """The core's outbox, seen through; ``select`` can lose, repeat or reorder messages."""

    def __init__(self, inner: Source) -> None:
        self.inner = inner
        self._selections: dict[int, _Selection] = {}

    def select(self, batch: Outgoing) -> Sequence[int]:
        """Return which messages of *batch* the adapter gets, in which order; all, by default.

        What it does not get is reported to the core as accepted.
        """
        return range(len(batch))

    @override
    def pull(self) -> Outgoing | None:
        while (batch := self.inner.pull()) is not None:
            indexes = self.select(batch)
            if list(indexes) == list(range(len(batch))):
                return batch
            if not indexes:
                self.inner.completed(batch, 0, len(batch), ACCEPTED)
                continue
            selection = _Selection(batch, indexes)
            self._selections[id(selection.chosen)] = selection
            return selection.chosen
        return None

    @override
    def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
        selection = self._selections.get(id(batch))
        if selection is None:
            self.inner.completed(batch, first, count, outcome)
            return
        if selection.complete(first, count, outcome):
            del self._selections[id(batch)]
            for index, each in enumerate(selection.outcomes):
                self.inner.completed(selection.batch, index, 1, each)

    @override
    def state(self, state: Link, cause: Exception | None) -> None:
        self.inner.state(state, cause)


class _Selection:
    """Some messages of a batch as a batch of their own, and what became of them."""

    def __init__(self, batch: Outgoing, indexes: Sequence[int]) -> None:
        self.batch = batch
        self.indexes = indexes
        self.outcomes: list[Outcome] = [ACCEPTED] * len(batch)
        self._open = len(indexes)
        self.chosen = pick(batch, indexes)

    def complete(self, first: int, count: int, outcome: Outcome) -> bool:
        for index in range(first, first + count):
            self.outcomes[self.indexes[index]] = outcome
        self._open -= count
        return self._open == 0


def pick(batch: Outgoing, indexes: Sequence[int]) -> Outgoing:
    """Return a batch of the messages of *batch* at *indexes*."""
    chosen = Outgoing([batch.bodies[index] for index in indexes])
    for column in ("keys", "routing_keys", "headers", "ids", "timings"):
        values = getattr(batch, column)
        if values is not None:
            setattr(chosen, column, [values[index] for index in indexes])
    return chosen


class SenderWrap(Sender):
    """An adapter's sender, seen through."""

    def __init__(self, inner: Sender) -> None:
        self.inner = inner

    @override
    def offer(self) -> None:
        self.inner.offer()

    @override
    def push(self) -> None:
        self.inner.push()

    @override
    def close(self, timeout_s: float) -> None:
        self.inner.close(timeout_s)
