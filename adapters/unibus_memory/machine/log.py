"""One reader of a kept lane: what it has read, and up to where all of that is settled."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from typing_extensions import override

from unibus.spi import Lease, Predicate, Watermark
from unibus_memory.machine.books import Log
from unibus_memory.machine.chunks import Run
from unibus_memory.machine.held import Held, Loss, Range
from unibus_memory.machine.store import Moment, Settled, Shelf


class LogReader(Shelf):
    """The place of one subscription in one lane.

    What is settled above something unsettled is remembered only while the lease lasts: after that,
    reading goes on behind the last message below which everything was settled.

    Args:
        log: What is read.
        position: Where to begin.
        wanted: Tells what the subscription asks for now; the rest is passed over.
    """

    def __init__(
        self, log: Log, position: int, wanted: Callable[[], Predicate | None] = lambda: None
    ) -> None:
        super().__init__()
        self.log = log
        self._wanted = wanted
        self._next = position
        self._watermark = Watermark(position)
        self._held: dict[Held, None] = {}
        log.readers.append(self._get_position)

    @property
    def position(self) -> int:
        """The first message that is not settled."""
        return self._watermark.position

    @property
    @override
    def is_empty(self) -> bool:
        return self._next >= self.log.end

    @property
    @override
    def is_at_work(self) -> bool:
        return bool(self._held)

    @property
    @override
    def waiting(self) -> int:
        if self._wanted() is None:
            return self.log.end - max(self._next, self.log.start)
        return sum(part.length for run in self.log.runs(self._next) for part in self._parts(run))

    @override
    def publish(self, number: int, runs: Iterable[Run]) -> None:
        """Nothing: it lies in the log."""

    @override
    def hand_out(self, limit: int, lease: Lease, at: Moment) -> Held | None:
        self.log.trim(at.wall)
        runs = self._read(limit)
        if not runs:
            return None
        held = Held(runs, lease, source=self)
        self._held[held] = None
        self._watermark.add(held, [(run.sequence, run.length) for run in runs])
        return held

    @override
    def done(self, held: Held, first: int, count: int) -> Sequence[Settled]:
        held.close(first, count)
        self._watermark.settle(held, first, count)
        if held.is_settled:
            self._held.pop(held, None)
        return _of_held(self._watermark.cover(self._watermark.position))

    @override
    def back(
        self, held: Held, first: int, count: int, *, counted: bool, delay_s: float, at: Moment
    ) -> Sequence[Settled]:
        """Nothing: a log takes nothing back, it is read again under the next lease."""
        return ()

    @override
    def bury(self, held: Held, first: int, count: int, reason: str) -> Sequence[Settled]:
        return self.done(held, first, count)

    @override
    def abandon(self, lease: Lease, at: Moment, *, counted: bool) -> list[Loss]:
        above: dict[Held, list[Range]] = {}
        for ticket, first, count in self.uncovered():
            above.setdefault(ticket, []).append((first, count))
        every = {**self._held, **dict.fromkeys(above)}
        losses = []
        for held in every:
            count = sum(length for _, length in held.open_in(0, len(held)))
            held.close(0, len(held))
            losses.append(Loss(held, lease, count, above.get(held, ())))
        self._held.clear()
        self.begin(self.position)
        return losses

    def uncovered(self) -> list[Settled]:
        """Return what is settled above something open."""
        return _of_held(self._watermark.uncovered())

    def begin(self, position: int) -> None:
        """Read on from *position*; nothing may be held."""
        self._next = position
        self._watermark = Watermark(position)

    @override
    def purge(self) -> None:
        self._next = self.log.end

    def close(self) -> None:
        """Read no more."""
        self.log.readers.remove(self._get_position)

    def _get_position(self) -> int:
        return self.position

    def _read(self, limit: int) -> list[Run]:
        runs: list[Run] = []
        for run in self.log.runs(self._next):
            for part in self._parts(run):
                taken = part.part(0, min(part.length, limit))
                runs.append(taken)
                limit -= taken.length
                self._next = taken.sequence + taken.length
                if limit == 0:
                    return runs
            self._next = run.sequence + run.length
        return runs

    def _parts(self, run: Run) -> Iterator[Run]:
        wanted = self._wanted()
        if wanted is None:
            return iter((run,))
        message = run.message
        return run.picked(offset for offset in range(run.length) if wanted(message(offset)))


def _of_held(ranges: Iterable[tuple[Hashable, int, int]]) -> list[Settled]:
    return [(ticket, first, count) for ticket, first, count in ranges if isinstance(ticket, Held)]
