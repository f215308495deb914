"""A subscription that keeps the order of each key, whatever happens to a message on the way.

One message of a key is handed out at a time. A nack puts it back in front of the later ones, so
they wait for it: order costs throughput within a key, never between keys.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Sequence

from unibus.spi import Lease
from unibus_memory.machine.chunks import Run
from unibus_memory.machine.shared import Held

_WHOLE_TOPIC = ""  # the one group of a topic whose whole order is kept


class _Group:
    """The waiting messages of one key, and whether one of them is away."""

    __slots__ = ("is_locked", "runs")

    def __init__(self) -> None:
        self.runs: deque[Run] = deque()
        self.is_locked = False


class GroupedSubscription:
    """The same face as ``SharedSubscription``. Not thread-safe, without a clock.

    Every operation costs the messages that it moves, however many wait; a key costs memory only
    while one of its messages waits or is held. Messages without a key have no order.
    """

    def __init__(self, *, keeps_whole_order: bool) -> None:
        self._keeps_whole_order = keeps_whole_order
        self._groups: dict[object, _Group] = {}
        self._ready: deque[object] = deque()
        self._later: list[tuple[float, int, object]] = []
        self._order = itertools.count()
        self._failed: dict[tuple[str, int], int] = {}
        self._waiting = 0
        self.held: set[Held] = set()

    @property
    def waiting(self) -> int:
        """How many messages wait; those behind a held one of their key included."""
        return self._waiting

    @property
    def can_give(self) -> bool:
        """Whether a take would find something."""
        return bool(self._ready)

    def publish(self, run: Run, indexes: Sequence[int] | None, now: float) -> None:
        """Add those of *run* that match: all, or *indexes* ascending, from 0 in the run."""
        del now  # a delayed publish would overtake or block its key: not offered on ordered topics
        for index in range(run.length) if indexes is None else indexes:
            single = run.part(index, 1)
            key = self._key(single)
            group = self._groups.get(key)
            if group is None:
                group = self._groups[key] = _Group()
            group.runs.append(single)
            self._waiting += 1
            if len(group.runs) == 1 and not group.is_locked:
                self._ready.append(key)

    def take(self, limit: int, lease: Lease) -> Held | None:
        """Hand out the first message of up to *limit* keys, under *lease*."""
        runs: list[Run] = []
        while self._ready and len(runs) < limit:
            group = self._groups[self._ready.popleft()]
            group.is_locked = True
            runs.append(group.runs.popleft())
        if not runs:
            return None
        self._waiting -= len(runs)
        held = Held(runs, lease, [self._failed.get(_name(run), 0) for run in runs])
        self.held.add(held)
        return held

    def done(self, held: Held, first: int, count: int) -> None:
        """Forget a range for good; the next of each key can be taken."""
        for run in self._close(held, first, count):
            self._failed.pop(_name(run), None)
            self._unlock(self._key(run))

    def back(
        self, held: Held, first: int, count: int, *, counted: bool, delay_s: float, now: float
    ) -> None:
        """Put a range back in front of its keys; with *delay_s* the keys wait with it."""
        for run in self._close(held, first, count):
            if counted:
                self._failed[_name(run)] = self._failed.get(_name(run), 0) + 1
            key = self._key(run)
            self._groups[key].runs.appendleft(run)
            self._waiting += 1
            if delay_s > 0:
                heapq.heappush(self._later, (now + delay_s, next(self._order), key))
            else:
                self._unlock(key)

    def next_due(self) -> float | None:
        """Return when the next waiting key can go on."""
        return self._later[0][0] if self._later else None

    def wake(self, now: float) -> bool:
        """Let go on what is due by *now*; return whether anything was."""
        woken = False
        while self._later and self._later[0][0] <= now:
            self._unlock(heapq.heappop(self._later)[2])
            woken = True
        return woken

    def purge(self) -> int:
        """Drop what waits and return how much; what is held stays held."""
        dropped, self._waiting = self._waiting, 0
        self._ready.clear()
        for key in [each for each, group in self._groups.items() if not group.is_locked]:
            del self._groups[key]
        for group in self._groups.values():
            group.runs.clear()
        return dropped

    def _key(self, run: Run) -> object:
        if self._keeps_whole_order:
            return _WHOLE_TOPIC
        key = run.chunk.key(run.start)
        return key if key is not None else _name(run)

    def _close(self, held: Held, first: int, count: int) -> list[Run]:
        runs = [each for run in held.close(first, count) for each in _singles(run)]
        if held.is_settled:
            self.held.discard(held)
        return runs

    def _unlock(self, key: object) -> None:
        group = self._groups[key]
        group.is_locked = False
        if group.runs:
            self._ready.append(key)
        else:
            del self._groups[key]


def _singles(run: Run) -> list[Run]:
    return [run.part(offset, 1) for offset in range(run.length)]


def _name(run: Run) -> tuple[str, int]:
    return run.chunk.lane, run.sequence
