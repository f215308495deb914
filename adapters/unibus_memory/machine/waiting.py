"""What waits for a subscription: fresh runs in publishing order, and what was given back."""

from __future__ import annotations

import heapq
from collections import deque

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
        # Runs of two topics can share a sequence number (a copy sent to the subscription alone),
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

    def clear(self) -> int:
        """Remove everything and return how many messages that were."""
        count, self.count = self.count, 0
        self._fresh.clear()
        self._returned.clear()
        return count


def _cut(run: Run, limit: int) -> tuple[Run, Run | None]:
    return (run, None) if run.length <= limit else run.cut(limit)
