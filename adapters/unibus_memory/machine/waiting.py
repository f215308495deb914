"""What waits for a subscription: fresh runs in publishing order, and what was given back."""

from __future__ import annotations

import heapq
from collections import deque
from itertools import groupby

from unibus_memory.machine.chunks import Run


class Waiting:
    """Runs in publishing order; what was given back stands where it stood, before later ones.

    Every operation costs the runs that it moves, however many messages wait. Not thread-safe.
    """

    __slots__ = ("_fresh", "_returned", "count")

    def __init__(self) -> None:
        self._fresh: deque[Run] = deque()
        self._returned: list[tuple[int, int, Run]] = []
        self.count = 0

    def append(self, run: Run) -> None:
        """Add what was just published."""
        fresh = self._fresh
        joined = fresh[-1].joined(run) if fresh else None
        if joined is not None:
            fresh[-1] = joined
        else:
            fresh.append(run)
        self.count += run.length

    def give_back(self, run: Run) -> None:
        """Put *run* where it stood."""
        # Runs of two lanes can share a sequence number (a copy sent to the subscription alone),
        # and runs do not compare: the chunk's identity breaks the tie.
        heapq.heappush(self._returned, (run.sequence, id(run.chunk), run))
        self.count += run.length

    def take(self, limit: int) -> list[Run]:
        """Remove and return the foremost runs, *limit* messages at most."""
        taken: list[Run] = []
        left = limit
        while left and self._returned:
            run, rest = _cut(heapq.heappop(self._returned)[2], left)
            if rest is not None:
                heapq.heappush(self._returned, (rest.sequence, id(rest.chunk), rest))
            taken.append(run)
            left -= run.length
        while left and self._fresh:
            run, rest = _cut(self._fresh.popleft(), left)
            if rest is not None:
                self._fresh.appendleft(rest)
            taken.append(run)
            left -= run.length
        self.count -= limit - left
        return taken


class Ranked:
    """The same by priority: what has a higher one stands before all that has a lower.

    Args:
        levels: How many priorities there are; what is higher counts as the highest.
    """

    __slots__ = ("_levels", "_plain", "_ranks")

    def __init__(self, levels: int) -> None:
        self._levels = levels
        self._plain = Waiting()
        self._ranks: dict[int, Waiting] = {}

    @property
    def count(self) -> int:
        """How many messages wait."""
        return self._plain.count + sum(rank.count for rank in self._ranks.values())

    def append(self, run: Run) -> None:
        """Add what was just published."""
        for priority, part in self._sorted(run):
            self._rank(priority).append(part)

    def give_back(self, run: Run) -> None:
        """Put *run* where it stood."""
        for priority, part in self._sorted(run):
            self._rank(priority).give_back(part)

    def take(self, limit: int) -> list[Run]:
        """Remove and return the foremost runs, *limit* messages at most."""
        if not self._ranks:
            return self._plain.take(limit)
        taken: list[Run] = []
        for priority in sorted(self._ranks, reverse=True):
            runs = self._ranks[priority].take(limit)
            limit -= sum(run.length for run in runs)
            taken += runs
            if not self._ranks[priority].count:
                del self._ranks[priority]
        return taken + self._plain.take(limit)

    def _sorted(self, run: Run) -> list[tuple[int, Run]]:
        if self._levels < 2 or not run.chunk.has_timings:  # noqa: PLR2004  # one level is none
            return [(0, run)]
        of = run.chunk.priority
        groups = groupby(range(run.length), lambda offset: of(run.start + offset))
        return [
            (min(priority, self._levels - 1), part)
            for priority, offsets in groups
            for part in run.picked(offsets)
        ]

    def _rank(self, priority: int) -> Waiting:
        return self._ranks.setdefault(priority, Waiting()) if priority else self._plain


def _cut(run: Run, limit: int) -> tuple[Run, Run | None]:
    return (run, None) if run.length <= limit else run.cut(limit)
