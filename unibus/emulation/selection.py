"""A batch of which only some deliveries are passed on, and the layer that makes such."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from weakref import WeakValueDictionary

from typing_extensions import override

from unibus.emulation.layer import Layer
from unibus.message import Message
from unibus.outcome import Outcome
from unibus.spi import Events, Incoming, LeaseRange, Verdict, VerdictKind


class Picks:
    """The ticket of a selection: which indexes of which batch, in ascending order."""

    __slots__ = ("__weakref__", "indexes", "layer", "ticket")

    def __init__(self, layer: object, ticket: object, indexes: Sequence[int]) -> None:
        self.layer = layer
        self.ticket = ticket
        self.indexes = indexes


class Selection(Incoming):
    """Some deliveries of *inner*."""

    __slots__ = ("indexes", "inner")

    def __init__(self, inner: Incoming, picks: Picks) -> None:
        super().__init__(picks)
        self.inner = inner
        self.indexes = picks.indexes

    @override
    def __len__(self) -> int:
        return len(self.indexes)

    @override
    def bodies(self) -> Sequence[bytes | None]:
        bodies = self.inner.bodies()
        return [bodies[index] for index in self.indexes]

    @override
    def message(self, index: int) -> Message:
        return self.inner.message(self.indexes[index])

    @override
    def attempt(self, index: int) -> int | None:
        return self.inner.attempt(self.indexes[index])

    @override
    def position(self, index: int) -> str | None:
        return self.inner.position(self.indexes[index])

    @override
    def native(self, index: int) -> object:
        return self.inner.native(self.indexes[index])

    @override
    def leases(self) -> Sequence[LeaseRange]:
        ranges = []
        for first, length, lease in self.inner.leases():
            low = bisect_left(self.indexes, first)
            high = bisect_left(self.indexes, first + length, low)
            if high > low:
                ranges.append(LeaseRange(low, high - low, lease))
        return ranges


class SelectingLayer(Layer):
    """Passes on some deliveries and settles the others itself.

    A batch that passes as a whole is passed as it is: nothing about it has to be mapped.
    """

    def __init__(self, events: Events) -> None:
        super().__init__(events)
        # Weak: it lasts as long as somebody waits for what becomes of the selection. A "sent" may
        # become "settled" at any later barrier, so there is no last answer to wait for.
        self._selections: WeakValueDictionary[object, Picks] = WeakValueDictionary()

    def pick(self, batch: Incoming) -> Sequence[int] | None:  # noqa: ARG002  # to be overridden
        """Return the indexes to pass on, ascending; ``None`` for all of them."""
        return None

    def drop(self, batch: Incoming, indexes: Sequence[int]) -> None:
        """Settle what is not passed on: acknowledge it, unless overridden."""
        self.acknowledge(batch, indexes)

    def acknowledge(self, batch: Incoming, indexes: Sequence[int]) -> None:
        """Acknowledge *indexes*, ascending, of a batch of the inner receiver."""
        verdicts = []
        for first, length, lease in batch.leases():
            low = bisect_left(indexes, first)
            high = bisect_left(indexes, first + length, low)
            if lease.lost is None:
                verdicts += [
                    Verdict(batch.ticket, start, count, VerdictKind.ACK)
                    for start, count in runs(indexes[low:high])
                ]
        if verdicts:
            self._inner.settle(verdicts)

    @override
    def take(self) -> Incoming | None:
        while (batch := self._inner.take()) is not None:
            indexes = self.pick(batch)
            if indexes is None:
                return batch
            picks = Picks(self, batch.ticket, indexes)
            self._selections[batch.ticket] = picks
            passed = set(indexes)
            self.drop(batch, [each for each in range(len(batch)) if each not in passed])
            if indexes:
                return Selection(batch, picks)
        return None

    @override
    def pass_on(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        if not any(self._is_ours(verdict.ticket) for verdict in verdicts):
            return verdicts
        return [inner for verdict in verdicts for inner in self._mapped(verdict)]

    @override
    def settled(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
        picks = self._selections.get(ticket)
        if picks is None:
            self._events.settled(ticket, first, count, outcome)
            return
        low = bisect_left(picks.indexes, first)
        high = bisect_left(picks.indexes, first + count, low)
        if high > low:
            self._events.settled(picks, low, high - low, outcome)

    def _is_ours(self, ticket: object) -> bool:
        return type(ticket) is Picks and ticket.layer is self

    def _mapped(self, verdict: Verdict) -> Iterator[Verdict]:
        picks, batch = verdict.ticket, verdict.incoming
        if not isinstance(picks, Picks) or picks.layer is not self:
            yield verdict
            return
        inner = batch.inner if isinstance(batch, Selection) else None
        indexes = picks.indexes[verdict.first : verdict.first + verdict.count]
        for first, count in runs(indexes):
            yield Verdict(
                picks.ticket, first, count, verdict.kind, verdict.delay_s, verdict.reason, inner
            )


def runs(indexes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield ascending *indexes* as first indexes and lengths of ranges."""
    first = stop = -1
    for index in indexes:
        if index != stop:
            if stop > first:
                yield first, stop - first
            first = index
        stop = index + 1
    if stop > first:
        yield first, stop - first
