"""Messages as they were published: columns that grow at their end, and runs over them.

A waiting message costs its body and a place in a list. No object is made per message, so a million
of them do not slow the garbage collector, and whatever holds for a run is done once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import repeat
from typing import Final, NamedTuple, TypeVar

from unibus.spi import Message, Outgoing

T = TypeVar("T")

_FULL: Final = 1000  # messages of a joined chunk; one that is slow keeps the bodies of all alive
_WHOLE: Final = 250  # a batch of so many is a chunk as it is, and not copied


class Chunk:
    """Neighbours in a lane. What is in it never changes; more may follow at its end.

    Whoever reads what a run covers needs no lock.

    Attributes:
        lane: Part of the ids it gives.
        first: Sequence number of its first message in the lane; later ones follow without gaps.
        bodies: The bytes of each message.
    """

    __slots__ = ("_columns", "_published", "bodies", "first", "lane")

    def __init__(self, lane: str, first: int, columns: Outgoing, published_s: float) -> None:
        self.lane = lane
        self.first = first
        self.bodies = columns.bodies
        self._columns = columns
        self._published = array("d", repeat(published_s, len(columns)))

    def __len__(self) -> int:
        return len(self.bodies)

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
        self.bodies.extend(batch.bodies)

    def message(self, index: int) -> Message:
        """Return message *index* decoded; its id is the publisher's, or lane and sequence."""
        message = self._columns.message(index)
        message.timestamp_s = self._published[index]
        if message.id is None:
            message.id = f"{self.lane}/{self.first + index}"
        return message

    def key(self, index: int) -> str | None:
        """Return the order key of message *index*."""
        keys = self._columns.keys
        return keys[index] if keys else None

    def delay_s(self, index: int) -> float:
        """Return how long message *index* has to wait after publishing; mostly 0."""
        timings = self._columns.timings
        timing = timings[index] if timings else None
        return (timing[0] or 0.0) if timing else 0.0

    def has_delays(self, start: int, length: int) -> bool:
        """Return whether any of *length* messages from *start* has to wait."""
        if not self._columns.timings:
            return False
        return any(map(self.delay_s, range(start, start + length)))


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

    def cut(self, length: int) -> tuple[Run, Run]:
        """Return the first *length* and the rest."""
        head = Run(self.chunk, self.start, length)
        return head, Run(self.chunk, self.start + length, self.length - length)

    def part(self, offset: int, length: int) -> Run:
        """Return *length* of them from *offset*."""
        return Run(self.chunk, self.start + offset, length)

    def joined(self, other: Run) -> Run | None:
        """Return this run and *other* as one, if *other* is what follows."""
        if self.chunk is other.chunk and self.start + self.length == other.start:
            return Run(self.chunk, self.start, self.length + other.length)
        return None


class Tail:
    """The growing end of a lane. Small batches are joined, so that each costs only its messages.

    Attributes:
        lane: Its name.
        end: How many messages it has had.
    """

    __slots__ = ("_open", "end", "lane")

    def __init__(self, lane: str) -> None:
        self.lane = lane
        self.end = 0
        self._open: Chunk | None = None

    def append(self, batch: Outgoing, published_s: float) -> Run:
        """Number the messages of *batch* and return where they are."""
        count, chunk = len(batch), self._open
        if count >= _WHOLE:
            chunk = Chunk(self.lane, self.end, _detached(batch), published_s)
            self._open = None
        elif chunk is not None and len(chunk) + count <= _FULL:
            chunk.extend(batch, published_s)
        else:
            chunk = self._open = Chunk(self.lane, self.end, _copied(batch), published_s)
        self.end += count
        return Run(chunk, len(chunk) - count, count)


def runs_of(run: Run, indexes: Iterator[int]) -> Iterator[Run]:
    """Join ascending *indexes*, counted from the beginning of *run*, to the longest runs."""
    start = end = -1
    for index in indexes:
        if index != end:
            if end > start:
                yield run.part(start, end - start)
            start = index
        end = index + 1
    if end > start:
        yield run.part(start, end - start)


def _detached(batch: Outgoing) -> Outgoing:
    """Return the columns alone: the publisher's batch carries receipts that need not live on."""
    columns = Outgoing(batch.bodies)
    columns.keys = batch.keys
    columns.routing_keys = batch.routing_keys
    columns.headers = batch.headers
    columns.ids = batch.ids
    columns.timings = batch.timings
    return columns


def _copied(batch: Outgoing) -> Outgoing:
    """Return columns that may grow."""
    columns = Outgoing(batch.bodies.copy())
    columns.keys = _copy(batch.keys)
    columns.routing_keys = _copy(batch.routing_keys)
    columns.headers = _copy(batch.headers)
    columns.ids = _copy(batch.ids)
    columns.timings = _copy(batch.timings)
    return columns


def _copy(column: list[T] | None) -> list[T] | None:
    return None if column is None else column.copy()


def _joined(
    mine: list[T | None] | None, had: int, more: list[T | None] | None, count: int
) -> list[T | None] | None:
    if mine is None:
        if more is None:
            return None
        return [*repeat(None, had), *more]
    mine.extend(repeat(None, count) if more is None else more)
    return mine
