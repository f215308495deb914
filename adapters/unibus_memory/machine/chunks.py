"""Messages as they were published: batches of columns, and runs over them.

A waiting message costs its body and a place in a list. No object is made per message, so a million
of them do not slow the garbage collector, and whatever holds for a run is done once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from unibus.spi import Message, Outgoing


class Chunk:
    """A published batch; never changes.

    Attributes:
        topic: Where it was published to; part of the ids it gives.
        first: Sequence number of its first message in the topic; later ones follow without gaps.
        published_s: When, in Unix seconds.
    """

    __slots__ = ("_batch", "bodies", "first", "published_s", "topic")

    def __init__(self, topic: str, first: int, batch: Outgoing, published_s: float) -> None:
        self.topic = topic
        self.first = first
        self.bodies = batch.bodies
        self.published_s = published_s
        self._batch = _detached(batch)

    def __len__(self) -> int:
        return len(self.bodies)

    def message(self, index: int) -> Message:
        """Return message *index* decoded; its id is the publisher's or topic and sequence."""
        message = self._batch.message(index)
        message.timestamp_s = self.published_s
        if message.id is None:
            message.id = f"{self.topic}/{self.first + index}"
        return message

    def key(self, index: int) -> str | None:
        """Return the order key of message *index*."""
        return self._batch.keys[index] if self._batch.keys else None

    def delay_s(self, index: int) -> float:
        """Return how long message *index* has to wait after publishing; mostly 0."""
        timing = self._batch.timings[index] if self._batch.timings else None
        return (timing[0] or 0.0) if timing else 0.0

    @property
    def has_delays(self) -> bool:
        """Whether any message has to wait."""
        return bool(self._batch.timings) and any(map(self.delay_s, range(len(self))))


def _detached(batch: Outgoing) -> Outgoing:
    """Return the columns alone: the publisher's batch carries receipts that need not live on."""
    columns = Outgoing(batch.bodies)
    columns.keys = batch.keys
    columns.routing_keys = batch.routing_keys
    columns.headers = batch.headers
    columns.ids = batch.ids
    columns.timings = batch.timings
    return columns


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
        if self.start == 0 and self.length == len(self.chunk):
            return self.chunk.bodies
        return self.chunk.bodies[self.start : self.start + self.length]

    def cut(self, length: int) -> tuple[Run, Run]:
        """Return the first *length* and the rest."""
        head = Run(self.chunk, self.start, length)
        return head, Run(self.chunk, self.start + length, self.length - length)

    def part(self, offset: int, length: int) -> Run:
        """Return *length* of them from *offset*."""
        return Run(self.chunk, self.start + offset, length)


def runs_of(chunk: Chunk, indexes: Iterator[int]) -> Iterator[Run]:
    """Join ascending *indexes* of *chunk* to the longest runs."""
    start = end = -1
    for index in indexes:
        if index != end:
            if end > start:
                yield Run(chunk, start, end - start)
            start = index
        end = index + 1
    if end > start:
        yield Run(chunk, start, end - start)
