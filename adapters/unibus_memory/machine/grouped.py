"""A subscription that keeps the order of each key, whatever happens to a message on the way.

One message of a key is handed out at a time. A nack puts it back in front of the later ones, so
they wait for it: order costs throughput within a key, never between keys.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterable

from typing_extensions import override

from unibus_memory.machine.chooser import PLAIN, Chooser
from unibus_memory.machine.chunks import Run
from unibus_memory.machine.held import Loss
from unibus_memory.machine.queue import Queue
from unibus_memory.machine.store import Moment

_AHEAD = 10  # keys among which a chooser chooses
_WHOLE_TOPIC = ""  # the one group of a topic whose whole order is kept


class _Group:
    """The waiting messages of one key, and whether one of them is away."""

    __slots__ = ("is_locked", "runs")

    def __init__(self) -> None:
        self.runs: deque[Run] = deque()
        self.is_locked = False


class GroupedSubscription(Queue):
    """Every operation costs the messages that it moves, however many wait.

    A key costs memory only while one of its messages waits or is held. Messages without a key have
    no order.

    Args:
        chooser: Decides which key goes first.
        keeps_whole_order: Whether all messages are of one group.
        expires: Whether lifetimes are kept: what is too old is given up when its turn comes.
    """

    def __init__(
        self,
        chooser: Chooser = PLAIN,
        *,
        keeps_whole_order: bool = False,
        expires: bool = False,
    ) -> None:
        super().__init__()
        self._chooser = chooser
        self._keeps_whole_order = keeps_whole_order
        self._expires = expires
        self._groups: dict[object, _Group] = {}
        self._ready: deque[object] = deque()
        self._later: list[tuple[float, int, object]] = []
        self._order = itertools.count()
        self._count = 0

    @property
    @override
    def waiting(self) -> int:
        return self._count

    @property
    @override
    def is_empty(self) -> bool:
        return not self._ready

    @override
    def publish(self, number: int, runs: Iterable[Run]) -> None:
        for run in runs:
            for single in run.singles():
                key = self._key(single)
                group = self._groups.get(key)
                if group is None:
                    group = self._groups[key] = _Group()
                group.runs.append(single)
                self._count += 1
                if len(group.runs) == 1 and not group.is_locked:
                    self._ready.append(key)

    @override
    def pick(self, limit: int, at: Moment) -> list[Run]:
        runs: list[Run] = []
        if self._chooser is not PLAIN:
            self._shuffle()
        while self._ready and len(runs) < limit:
            group = self._groups[self._ready.popleft()]
            group.is_locked = True
            run = group.runs.popleft()
            self._count -= 1
            if self._expires and _is_expired(run, at.wall):
                self._give_up(run, "expired", "", None)
            else:
                runs.append(run)
        return runs

    @override
    def put_back(self, run: Run, delay_s: float, at: Moment) -> None:
        for single in reversed(tuple(run.singles())):
            key = self._key(single)
            self._groups[key].runs.appendleft(single)
            self._count += 1
            if delay_s > 0:
                heapq.heappush(self._later, (at.now + delay_s, next(self._order), key))
            else:
                self._unlock(key)

    @override
    def gone(self, run: Run) -> None:
        super().gone(run)
        for single in run.singles():
            self._unlock(self._key(single))

    @override
    def drain(self) -> list[Run]:
        drained = [run for group in self._groups.values() for run in group.runs]
        self._count = 0
        self._ready.clear()
        for key in [each for each, group in self._groups.items() if not group.is_locked]:
            del self._groups[key]
        for group in self._groups.values():
            group.runs.clear()
        return drained

    @override
    def next_due(self) -> float | None:
        dues = (super().next_due(), self._later[0][0] if self._later else None)
        return min((due for due in dues if due is not None), default=None)

    @override
    def wake(self, at: Moment) -> list[Loss]:
        while self._later and self._later[0][0] <= at.now:
            self._unlock(heapq.heappop(self._later)[2])
        return super().wake(at)

    def _shuffle(self) -> None:
        keys = [self._ready.popleft() for _ in range(min(_AHEAD, len(self._ready)))]
        self._ready.extendleft(reversed(self._chooser.ordered(keys)))

    def _key(self, single: Run) -> object:
        if self._keeps_whole_order:
            return _WHOLE_TOPIC
        key = single.chunk.key(single.start)
        return key if key is not None else (single.chunk.lane, single.sequence)

    def _unlock(self, key: object) -> None:
        group = self._groups[key]
        group.is_locked = False
        if group.runs:
            self._ready.append(key)
        else:
            del self._groups[key]


def _is_expired(single: Run, wall: float) -> bool:
    end = single.chunk.expires_s(single.start)
    return end is not None and end <= wall
