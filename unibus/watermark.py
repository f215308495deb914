"""How far a log has been worked through, when its messages are settled in any order; pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain
from operator import itemgetter

Run = tuple[int, int]
"""A first position and how many messages lie there one after the other."""

Settled = tuple[Hashable, int, int]
"""A ticket, the first index of a range of its batch, and the length of the range."""

_first = itemgetter(0)
_stop = itemgetter(1)


class _Slice:
    """The part of one batch that lies in the log; indexes here count from its own start."""

    __slots__ = ("base", "covered", "done", "islands", "length", "positions", "starts", "ticket")

    def __init__(self, ticket: Hashable, base: int, runs: Sequence[Run]) -> None:
        self.ticket = ticket
        self.base = base
        self.positions = [position for position, _ in runs]
        self.starts = [0]
        for _, count in runs:
            self.starts.append(self.starts[-1] + count)
        self.length = self.starts.pop()
        self.done = 0  # every index below is settled
        self.islands: list[tuple[int, int]] = []  # settled ranges above, apart from one another
        self.covered = 0  # every index below was reported

    def settle(self, first: int, stop: int) -> None:
        islands = self.islands
        if islands or first > self.done:
            low = bisect_left(islands, first, key=_stop)
            high = bisect_right(islands, stop, key=_first)
            if low < high:
                first = min(first, islands[low][0])
                stop = max(stop, islands[high - 1][1])
            islands[low:high] = [(first, stop)]
            if first > self.done:
                return
            del islands[low]
        self.done = max(self.done, stop)

    def position(self, index: int) -> int:
        run = bisect_right(self.starts, index) - 1
        return self.positions[run] + index - self.starts[run]

    def count_below(self, position: int) -> int:
        run = bisect_left(self.positions, position) - 1
        if run < 0:
            return 0
        stop = self.starts[run + 1] if run + 1 < len(self.starts) else self.length
        return min(self.starts[run] + position - self.positions[run], stop)

    def cover(self, stop: int) -> Iterable[Settled]:
        if stop > self.covered:
            yield self.ticket, self.base + self.covered, stop - self.covered
            self.covered = stop


class Watermark:
    """The position below which everything handed out of a log is settled: safe to commit.

    One for each partition and assignment; a seek starts a new one. What is settled above a gap is
    remembered until the gap closes. Not thread-safe: whoever owns the log owns this.

    Args:
        position: Where reading begins.
    """

    def __init__(self, position: int = 0) -> None:
        self._next = position
        self._open: deque[_Slice] = deque()
        self._complete: deque[_Slice] = deque()
        self._by_ticket: dict[Hashable, _Slice] = {}

    @property
    def position(self) -> int:
        """The first position that is not settled; where to begin again after a crash."""
        if not self._open:
            return self._next
        head = self._open[0]
        return head.position(head.done)

    def add(self, ticket: Hashable, runs: Sequence[Run], *, first_index: int = 0) -> None:
        """Note that the batch *ticket* was handed out, with *runs* from *first_index* on.

        Positions ascend, from run to run and from call to call; what they jump over does not
        exist (compacted, or a transaction's marker) and is not waited for. A ticket is added once.

        Raises:
            ValueError: Positions do not ascend, or the ticket was added before.
        """
        if ticket in self._by_ticket:
            raise ValueError(f"{ticket!r} was added before")
        following = self._next
        for position, count in runs:
            if position < following or count < 1:
                raise ValueError(f"{count} messages at {position} after {following} was expected")
            following = position + count
        if not runs:
            return
        self._next = following
        self._by_ticket[ticket] = part = _Slice(ticket, first_index, runs)
        self._open.append(part)

    def settle(self, ticket: Hashable, first: int, count: int) -> None:
        """Note that a range of the batch *ticket* is settled; twice is once.

        Raises:
            KeyError: The ticket was never added, or all of it is covered.
        """
        part = self._by_ticket[ticket]
        start = first - part.base
        part.settle(start, start + count)
        while self._open and self._open[0].done == self._open[0].length:
            self._complete.append(self._open.popleft())

    def cover(self, position: int) -> list[Settled]:
        """Return what became safe by a commit of *position*: each index once, in log order.

        *position* is a value that ``position`` had.
        """
        covered: list[Settled] = []
        while self._complete:
            part = self._complete[0]
            stop = part.count_below(position)
            covered += part.cover(stop)
            if stop < part.length:
                return covered
            self._forget(self._complete.popleft())
        if self._open:
            head = self._open[0]
            covered += head.cover(min(head.count_below(position), head.done))
        return covered

    def uncovered(self) -> list[Settled]:
        """Return what is settled and not covered: without a commit it will be delivered again."""
        ranges: list[Settled] = []
        for part in chain(self._complete, self._open):
            islands = ((part.covered, part.done), *part.islands)
            ranges += (
                (part.ticket, part.base + first, stop - first)
                for first, stop in islands
                if stop > first
            )
        return ranges

    def _forget(self, part: _Slice) -> None:
        del self._by_ticket[part.ticket]
