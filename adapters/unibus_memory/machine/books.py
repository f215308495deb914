"""Where a topic's messages are stored: lanes that grow at their end, and may be kept as a log."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple
from zlib import crc32

from typing_extensions import override

from unibus.spi import Outgoing
from unibus_memory.machine.chunks import Chunk, Lane, Run, copied, detached

_FULL: Final = 1000  # messages of a joined chunk; one that is slow keeps the bodies of all alive
_WHOLE: Final = 250  # a batch of so many is a chunk as it is, and not copied
_KEPT_BYTES: Final = 64 << 20  # of what every reader of a lane has passed


class Tail:
    """The growing end of a lane. Small batches are joined, so that each costs only its messages.

    Attributes:
        lane: Its name.
        end: How many messages it has had.
    """

    __slots__ = ("_open", "end", "lane")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.end = 0
        self._open: Chunk | None = None

    def append(self, batch: Outgoing, published_s: float) -> Run:
        """Number the messages of *batch* and return where they are."""
        count, chunk = len(batch), self._open
        if count >= _WHOLE:
            chunk = self._begin(detached(batch), published_s)
            self._open = None
        elif chunk is not None and len(chunk) + count <= _FULL:
            chunk.extend(batch, published_s)
        else:
            chunk = self._open = self._begin(copied(batch), published_s)
        self.end += count
        return Run(chunk, len(chunk) - count, count)

    def _begin(self, columns: Outgoing, published_s: float) -> Chunk:
        return Chunk(self.lane, self.end, columns, published_s)


class Log(Tail):
    """A lane that keeps what was appended, until it is too old.

    Attributes:
        start: The first sequence number that is kept.
        readers: Each says how far it has come.
        retention_s: How old messages get; ``None`` is without limit.
    """

    __slots__ = ("_chunks", "_firsts", "_kept_bytes", "_sizes", "readers", "retention_s", "start")

    def __init__(self, lane: Lane, retention_s: float | None) -> None:
        super().__init__(lane)
        self.start = 0
        self.readers: list[Callable[[], int]] = []
        self.retention_s = retention_s
        self._chunks: list[Chunk] = []
        self._firsts: list[int] = []
        self._sizes: list[int] = []
        self._kept_bytes = 0

    def runs(self, position: int) -> Iterator[Run]:
        """Yield what is kept from *position* on."""
        number = max(0, bisect_right(self._firsts, position) - 1)
        for chunk in self._chunks[number:]:
            skipped = max(0, position - chunk.first)
            if skipped < len(chunk):
                yield Run(chunk, skipped, len(chunk) - skipped)

    def position_at(self, wall: float) -> int:
        """Return where the first message lies that was published at *wall* or later."""
        for chunk in self._chunks:
            if chunk.last_published_s >= wall:
                return chunk.first + chunk.since(wall)
        return self.end

    def trim(self, wall: float) -> None:
        """Drop what is too old, and what all have read where it is too much."""
        read = min((reader() for reader in self.readers), default=self.end)
        count = 0
        while count < len(self._chunks) - 1 and self._is_over(count, wall, read):
            self._kept_bytes -= self._sizes[count]
            count += 1
        if count == len(self._chunks) - 1 and self._is_old(self._chunks[-1], wall):
            self._open = None
            count += 1
        if count:
            del self._chunks[:count], self._firsts[:count], self._sizes[:count]
            self.start = self._firsts[0] if self._firsts else self.end

    def _is_over(self, number: int, wall: float, read: int) -> bool:
        chunk = self._chunks[number]
        is_read = chunk.first + len(chunk) <= read
        return self._is_old(chunk, wall) or (is_read and self._kept_bytes > _KEPT_BYTES)

    def _is_old(self, chunk: Chunk, wall: float) -> bool:
        return self.retention_s is not None and chunk.last_published_s < wall - self.retention_s

    @override
    def _begin(self, columns: Outgoing, published_s: float) -> Chunk:
        if len(self._chunks) > len(self._sizes):
            size = sum(map(len, filter(None, self._chunks[-1].bodies)))
            self._sizes.append(size)
            self._kept_bytes += size
        chunk = super()._begin(columns, published_s)
        self._chunks.append(chunk)
        self._firsts.append(chunk.first)
        self.trim(published_s)
        return chunk


Place = Callable[[Log], int | None]
"""Where to go on in a log; ``None`` leaves it alone."""


class Placement(NamedTuple):
    """Where a part of a batch was stored.

    Attributes:
        number: Of the lane.
        run: Where it is.
        indexes: Which of the batch these are, ascending.
    """

    number: int
    run: Run
    indexes: Sequence[int]


class Book:
    """The lanes of a topic, or of what is for one subscription alone.

    Messages of a key share a lane. Those without a key take turns.

    Args:
        names: Of the lanes.
        is_log: Whether they are kept.
        retention_s: For how long; ``None`` is without limit.
    """

    __slots__ = ("_is_log", "_turn", "lanes")

    def __init__(self, names: Iterable[Lane], *, is_log: bool, retention_s: float | None) -> None:
        self.lanes: list[Tail] = []
        self._is_log = is_log
        self._turn = 0
        self.change(names, retention_s)

    def append(self, batch: Outgoing, published_s: float) -> Sequence[Placement]:
        """Store *batch* and return where, lane by lane."""
        if len(self.lanes) == 1:
            run = self.lanes[0].append(batch, published_s)
            return (Placement(0, run, range(len(batch))),)
        return [
            Placement(
                number, self.lanes[number].append(copied(batch, indexes), published_s), indexes
            )
            for number, indexes in sorted(self._shares(batch).items())
        ]

    def _shares(self, batch: Outgoing) -> Mapping[int, Sequence[int]]:
        """Return which messages go to which lane."""
        size, count = len(batch), len(self.lanes)
        turn, self._turn = self._turn, (self._turn + size) % count
        if batch.keys is None:
            offsets = range(min(size, count))
            return {(turn + offset) % count: range(offset, size, count) for offset in offsets}
        shares: dict[int, list[int]] = {}
        for index, key in enumerate(batch.keys):
            number = turn + index if key is None else crc32(key.encode())
            shares.setdefault(number % count, []).append(index)
        return shares

    def change(self, names: Iterable[Lane], retention_s: float | None) -> None:
        """Add those lanes of *names* that are not there, and keep all for *retention_s*."""
        for log in self.logs():
            log.retention_s = retention_s
        for name in list(names)[len(self.lanes) :]:
            self.lanes.append(Log(name, retention_s) if self._is_log else Tail(name))

    def logs(self) -> list[Log]:
        """Return the lanes that are kept."""
        return [lane for lane in self.lanes if isinstance(lane, Log)]


def lane_names(topic: str, count: int) -> list[Lane]:
    """Return the names of *count* lanes of *topic*."""
    if count == 1:
        return [Lane(topic)]
    return [Lane(f"{topic}/{number}", number) for number in range(count)]
