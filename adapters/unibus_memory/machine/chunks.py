"""Messages as they were published: columns that grow at their end, and runs over them.

A waiting message costs its body and a place in a list. No object is made per message, so a million
of them do not slow the garbage collector, and whatever holds for a run is done once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import NamedTuple, TypeVar

from unibus.spi import Message, Outgoing, Timing

T = TypeVar("T")


class Lane(NamedTuple):
    """A sequence of messages: a topic, a partition of it, or what is for one subscription alone.

    Attributes:
        name: Names it in the ids of its messages.
        number: Which partition; -1 for copies, which have no place in the log.
    """

    name: str
    number: int = 0


class Chunk:
    """Neighbours in a lane. What is in it never changes; more may follow at its end.

    Whoever reads what a run covers needs no lock.

    Attributes:
        lane: Where it lies.
        first: Sequence number of its first message in the lane; later ones follow without gaps.
        bodies: The bytes of each message.
        has_timings: Whether any message has a lifetime or a priority.
    """

    __slots__ = ("_columns", "_published", "bodies", "first", "has_timings", "lane")

    def __init__(self, lane: Lane, first: int, columns: Outgoing, published_s: float) -> None:
        self.lane = lane
        self.first = first
        self.bodies = columns.bodies
        self.has_timings = any(columns.timings or ())
        self._columns = columns
        self._published = array("d", repeat(published_s, len(columns)))

    def __len__(self) -> int:
        return len(self.bodies)

    @property
    def last_published_s(self) -> float:
        """When its last message was published, in Unix seconds."""
        return self._published[-1]

    def extend(self, batch: Outgoing, published_s: float) -> None:
        """Add *batch* at the end. The columns have to be our own."""
        had, count = len(self), len(batch)
        mine = self._columns
        # The bodies come last: who finds a body finds the rest of its message.
        self._published.extend(repeat(published_s, count))
        mine.keys = _joined(mine.keys, had, batch.keys, count)
        mine.routing_keys = _joined(mine.routing_keys, had, batch.routing_keys, count)
        mine.headers = _joined(mine.headers, had, batch.headers, count)
        mine.ids = _joined(mine.ids, had, batch.ids, count)
        mine.timings = _joined(mine.timings, had, batch.timings, count)
        self.has_timings = self.has_timings or any(batch.timings or ())
        self.bodies.extend(batch.bodies)

    def message(self, index: int) -> Message:
        """Return message *index* decoded; its id is the publisher's, or lane and sequence."""
        message = self._columns.message(index)
        message.timestamp_s = self._published[index]
        message.delay_s = None
        if message.id is None:
            message.id = f"{self.lane.name}/{self.first + index}"
        return message

    def key(self, index: int) -> str | None:
        """Return the order key of message *index*."""
        keys = self._columns.keys
        return keys[index] if keys else None

    def expires_s(self, index: int) -> float | None:
        """Return when message *index* is too old to be delivered, in Unix seconds."""
        timing = self._timing(index)
        return None if timing is None or timing[1] is None else self._published[index] + timing[1]

    def priority(self, index: int) -> int:
        """Return the priority of message *index*; 0 is the lowest."""
        timing = self._timing(index)
        return 0 if timing is None else timing[2] or 0

    def since(self, wall: float) -> int:
        """Return the index of the first message published at *wall* or later."""
        # Clocks are set back at times, so what was published is not in order for sure.
        return next((i for i, each in enumerate(self._published) if each >= wall), len(self))

    def _timing(self, index: int) -> Timing | None:
        timings = self._columns.timings
        return timings[index] if timings else None


class Run(NamedTuple):
    """*length* neighbours of one chunk, from index *start*."""

    chunk: Chunk
    start: int
    length: int

    @property
    def sequence(self) -> int:
        """Sequence number of the first one."""
        return self.chunk.first + self.start

    def bodies(self) -> list[bytes | None]:
        """Return the bodies, not copied."""
        return self.chunk.bodies[self.start : self.start + self.length]

    def message(self, offset: int) -> Message:
        """Return the message at *offset* decoded."""
        return self.chunk.message(self.start + offset)

    def cut(self, length: int) -> tuple[Run, Run]:
        """Return the first *length* and the rest."""
        return self.part(0, length), self.part(length, self.length - length)

    def part(self, offset: int, length: int) -> Run:
        """Return *length* of them from *offset*."""
        return Run(self.chunk, self.start + offset, length)

    def singles(self) -> Iterator[Run]:
        """Yield each message as a run of its own."""
        return (Run(self.chunk, self.start + offset, 1) for offset in range(self.length))

    def picked(self, offsets: Iterable[int]) -> Iterator[Run]:
        """Yield the messages at *offsets*, ascending, as the longest runs."""
        first = stop = -1
        for offset in offsets:
            if offset != stop:
                if stop > first:
                    yield self.part(first, stop - first)
                first = offset
            stop = offset + 1
        if stop > first:
            yield self.part(first, stop - first)

    def joined(self, other: Run) -> Run | None:
        """Return this run and *other* as one, if *other* is what follows."""
        if self.chunk is other.chunk and self.start + self.length == other.start:
            return Run(self.chunk, self.start, self.length + other.length)
        return None


def detached(batch: Outgoing) -> Outgoing:
    """Return the columns alone: the publisher's batch carries receipts that need not live on."""
    columns = Outgoing(batch.bodies)
    columns.keys = batch.keys
    columns.routing_keys = batch.routing_keys
    columns.headers = batch.headers
    columns.ids = batch.ids
    columns.timings = batch.timings
    return columns


def copied(batch: Outgoing, indexes: Sequence[int] | None = None) -> Outgoing:
    """Return columns of our own with the messages *indexes*, or with all."""
    columns = Outgoing(_copy(batch.bodies, indexes))
    columns.keys = batch.keys and _copy(batch.keys, indexes)
    columns.routing_keys = batch.routing_keys and _copy(batch.routing_keys, indexes)
    columns.headers = batch.headers and _copy(batch.headers, indexes)
    columns.ids = batch.ids and _copy(batch.ids, indexes)
    columns.timings = batch.timings and _copy(batch.timings, indexes)
    return columns


def _copy(column: list[T], indexes: Sequence[int] | None) -> list[T]:
    return column.copy() if indexes is None else [column[index] for index in indexes]


def _joined(
    mine: list[T | None] | None, had: int, more: list[T | None] | None, count: int
) -> list[T | None] | None:
    if mine is None:
        return None if more is None else [*repeat(None, had), *more]
    mine.extend(repeat(None, count) if more is None else more)
    return mine
