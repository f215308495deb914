"""A subscription that any number of consumers share, message by message; no order is promised."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable

from typing_extensions import override

from unibus_memory.machine.chooser import PLAIN, Chooser, Freedom
from unibus_memory.machine.chunks import Run
from unibus_memory.machine.held import Loss
from unibus_memory.machine.queue import Queue
from unibus_memory.machine.store import Moment
from unibus_memory.machine.waiting import Ranked


class SharedSubscription(Queue):
    """Waiting messages, what is held, what comes later.

    Args:
        chooser: Decides which goes first.
        levels: How many priorities there are.
        repeats: Whether a message may be handed out twice.
        expires: Whether lifetimes are kept: what is too old is given up when its turn comes.
    """

    def __init__(
        self,
        chooser: Chooser = PLAIN,
        *,
        levels: int = 1,
        repeats: bool = False,
        expires: bool = False,
    ) -> None:
        super().__init__()
        self._chooser = chooser
        self._repeats = repeats
        self._waiting = Ranked(levels)
        self._later: list[tuple[float, int, Run]] = []
        self._order = itertools.count()
        self._expires = expires

    @property
    @override
    def waiting(self) -> int:
        return self._waiting.count

    @property
    @override
    def is_empty(self) -> bool:
        return self._waiting.count == 0

    @override
    def publish(self, number: int, runs: Iterable[Run]) -> None:
        for run in runs:
            self._waiting.append(run)

    @override
    def pick(self, limit: int, at: Moment) -> list[Run]:
        runs = self._foremost(limit)
        while self._expires and any(run.chunk.has_timings for run in runs):
            runs = self._fresh(runs, at.wall)
            if runs or not self._waiting.count:
                break
            runs = self._foremost(limit)
        return runs

    @override
    def put_back(self, run: Run, delay_s: float, at: Moment) -> None:
        if delay_s > 0:
            heapq.heappush(self._later, (at.now + delay_s, next(self._order), run))
        else:
            self._waiting.give_back(run)

    @override
    def drain(self) -> list[Run]:
        later = [run for _, _, run in self._later]
        self._later.clear()
        return self._waiting.take(self._waiting.count) + later

    @override
    def next_due(self) -> float | None:
        dues = (super().next_due(), self._later[0][0] if self._later else None)
        return min((due for due in dues if due is not None), default=None)

    @override
    def wake(self, at: Moment) -> list[Loss]:
        while self._later and self._later[0][0] <= at.now:
            self._waiting.give_back(heapq.heappop(self._later)[2])
        return super().wake(at)

    def _foremost(self, limit: int) -> list[Run]:
        if self._chooser is PLAIN:
            return self._waiting.take(limit)
        singles = [each for run in self._waiting.take(limit * 2) for each in run.singles()]
        if not any(each.chunk.has_timings for each in singles):  # they may have priorities
            singles = self._chooser.ordered(singles)
        left = singles[limit:]
        if self._repeats:
            left += [each for each in singles[:limit] if self._chooser.uses(Freedom.REPEAT)]
        for each in left:
            self._waiting.give_back(each)
        return singles[:limit]

    def _fresh(self, runs: list[Run], wall: float) -> list[Run]:
        fresh = []
        for run in runs:
            if not run.chunk.has_timings:
                fresh.append(run)
                continue
            ends = [run.chunk.expires_s(run.start + offset) for offset in range(run.length)]
            kept = [offset for offset, end in enumerate(ends) if end is None or end > wall]
            fresh += run.picked(kept)
            for dead in run.picked(sorted({*range(run.length)} - {*kept})):
                self._give_up(dead, "expired", "", None)
        return fresh
