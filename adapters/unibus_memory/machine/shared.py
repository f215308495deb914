"""A subscription that any number of consumers share, message by message; no order is promised."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence

from unibus.spi import Lease
from unibus_memory.machine.chunks import Chunk, Run, runs_of
from unibus_memory.machine.waiting import Waiting


class Held:
    """What one take handed out, until all of it is settled.

    Attributes:
        lease: The right to it; lost by expiry, restart or the consumer's end.
        attempts: Deliveries before this one, per index; ``None`` when it is the first for all.
    """

    __slots__ = ("_offsets", "_open", "attempts", "lease", "runs")

    def __init__(self, runs: Sequence[Run], lease: Lease, attempts: list[int] | None) -> None:
        self.runs = runs
        self.lease = lease
        self.attempts = attempts
        self._offsets = list(itertools.accumulate((run.length for run in runs), initial=0))
        self._open = [(0, self._offsets[-1])]

    def __len__(self) -> int:
        return self._offsets[-1]

    def bodies(self) -> list[bytes | None]:
        """Return every body."""
        if len(self.runs) == 1:
            return self.runs[0].bodies()
        return [body for run in self.runs for body in run.bodies()]

    def place(self, index: int) -> tuple[Chunk, int]:
        """Return the chunk of delivery *index* and its index there."""
        for run, offset in zip(self.runs, self._offsets, strict=False):
            if index < offset + run.length:
                return run.chunk, run.start + index - offset
        raise IndexError(index)

    def close(self, first: int, count: int) -> list[Run]:
        """Mark a range as settled and return what of it was open, as runs."""
        end = first + count
        still_open: list[tuple[int, int]] = []
        closed: list[tuple[int, int]] = []
        for start, stop in self._open:
            low, high = max(start, first), min(stop, end)
            if low >= high:
                still_open.append((start, stop))
                continue
            closed.append((low, high))
            still_open += [each for each in ((start, low), (high, stop)) if each[0] < each[1]]
        self._open = still_open
        return [run for low, high in closed for run in self._runs(low, high)]

    def close_all(self) -> list[Run]:
        """Mark everything as settled and return what was open, as runs."""
        return self.close(0, len(self))

    @property
    def is_settled(self) -> bool:
        """Whether nothing is open."""
        return not self._open

    def _runs(self, low: int, high: int) -> list[Run]:
        found = []
        for run, offset in zip(self.runs, self._offsets, strict=False):
            start, stop = max(low, offset), min(high, offset + run.length)
            if start < stop:
                found.append(run.part(start - offset, stop - start))
        return found


class SharedSubscription:
    """Waiting messages, what is held, what comes later. Not thread-safe, without a clock."""

    def __init__(self) -> None:
        self._waiting = Waiting()
        self._later: list[tuple[float, int, Run]] = []
        self._order = itertools.count()
        self._failed: dict[tuple[str, int], int] = {}
        self.held: set[Held] = set()

    @property
    def waiting(self) -> int:
        """How many messages can be taken now."""
        return self._waiting.count

    @property
    def can_give(self) -> bool:
        """Whether a take would find something."""
        return self._waiting.count > 0

    def publish(self, run: Run, indexes: Sequence[int] | None, now: float) -> None:
        """Add those of *run* that match: all, or *indexes* ascending, from 0 in the run."""
        if not run.chunk.has_delays(run.start, run.length):
            for part in (run,) if indexes is None else runs_of(run, iter(indexes)):
                self._waiting.append(part)
            return
        for index in range(run.length) if indexes is None else indexes:
            self._add(run.part(index, 1), run.chunk.delay_s(run.start + index), now)

    def take(self, limit: int, lease: Lease) -> Held | None:
        """Hand out the foremost messages, *limit* at most, under *lease*."""
        runs = self._waiting.take(limit)
        if not runs:
            return None
        held = Held(runs, lease, self._attempts(runs))
        self.held.add(held)
        return held

    def done(self, held: Held, first: int, count: int) -> None:
        """Forget a range for good."""
        for run in self._close(held, first, count):
            if self._failed:
                for sequence in range(run.sequence, run.sequence + run.length):
                    self._failed.pop((run.chunk.lane, sequence), None)

    def back(
        self, held: Held, first: int, count: int, *, counted: bool, delay_s: float, now: float
    ) -> None:
        """Let a range be delivered again, at once or later; *counted* as an attempt or not."""
        for run in self._close(held, first, count):
            if counted:
                self._count(run)
            self._add(run, delay_s, now)

    def next_due(self) -> float | None:
        """Return when the next delayed message can be delivered."""
        return self._later[0][0] if self._later else None

    def wake(self, now: float) -> bool:
        """Let be delivered what is due by *now*; return whether anything was."""
        woken = False
        while self._later and self._later[0][0] <= now:
            self._waiting.give_back(heapq.heappop(self._later)[2])
            woken = True
        return woken

    def purge(self) -> int:
        """Drop what waits, now or later, and return how much; what is held stays held."""
        later = len(self._later)
        self._later.clear()
        return self._waiting.clear() + later

    def _add(self, run: Run, delay_s: float, now: float) -> None:
        if delay_s > 0:
            heapq.heappush(self._later, (now + delay_s, next(self._order), run))
        else:
            self._waiting.give_back(run)

    def _close(self, held: Held, first: int, count: int) -> list[Run]:
        runs = held.close(first, count)
        if held.is_settled:
            self.held.discard(held)
        return runs

    def _count(self, run: Run) -> None:
        lane = run.chunk.lane
        for sequence in range(run.sequence, run.sequence + run.length):
            self._failed[lane, sequence] = self._failed.get((lane, sequence), 0) + 1

    def _attempts(self, runs: Sequence[Run]) -> list[int] | None:
        if not self._failed:
            return None
        failed = self._failed
        return [
            failed.get((run.chunk.lane, sequence), 0)
            for run in runs
            for sequence in range(run.sequence, run.sequence + run.length)
        ]
