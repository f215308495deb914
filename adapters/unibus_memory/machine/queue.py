"""What queues of all kinds have in common: leases, attempts, and when a message is given up."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence

from typing_extensions import override

from unibus.spi import Lease, LeaseLostError, UnibusError
from unibus_memory.machine.chunks import Run
from unibus_memory.machine.held import Held, Loss
from unibus_memory.machine.store import Dead, Moment, Settled, Shelf, Store

_OVER = "the lease ran out before the delivery was settled"


class Queue(Shelf, Store):
    """What is forgotten when it is settled; each take has a lease of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._max_attempts: int | None = None
        self._failed: dict[tuple[object, int], int] = {}
        self._held: set[Held] = set()
        self._lease_due: float | None = None

    # For the kinds of queues.

    @abstractmethod
    def pick(self, limit: int, at: Moment) -> list[Run]:
        """Remove and return the foremost messages."""

    @abstractmethod
    def put_back(self, run: Run, delay_s: float, at: Moment) -> None:
        """Let *run* be picked again."""

    @abstractmethod
    def drain(self) -> list[Run]:
        """Remove and return everything that waits, now or later."""

    def gone(self, run: Run) -> None:
        """Note that *run* has left for good."""
        if self._failed:
            for name in _names(run):
                self._failed.pop(name, None)

    @override
    def limit(self, max_attempts: int | None) -> None:
        self._max_attempts = max_attempts

    @override
    def forget_attempts(self) -> None:
        self._failed.clear()

    # For everybody.

    @override
    def purge(self) -> None:
        self.drain()

    @override
    def can_give(self, member: object) -> bool:
        return not self.is_empty

    @override
    def take(self, member: object, limit: int, lease_s: float | None, at: Moment) -> Held | None:
        deadline = None if lease_s is None else at.now + lease_s
        held = self.hand_out(limit, Lease("receive", deadline), at)
        if held is not None:
            self._watch(deadline)
        return held

    @property
    @override
    def is_at_work(self) -> bool:
        return bool(self._held)

    @override
    def hand_out(self, limit: int, lease: Lease, at: Moment) -> Held | None:
        runs = self.pick(limit, at)
        if not runs:
            return None
        held = Held(runs, lease, self._attempts(runs), self)
        self._held.add(held)
        return held

    @override
    def done(self, held: Held, first: int, count: int) -> Sequence[Settled]:
        for run in self._close(held, first, count):
            self.gone(run)
        return ((held, first, count),)

    @override
    def back(
        self, held: Held, first: int, count: int, *, counted: bool, delay_s: float, at: Moment
    ) -> Sequence[Settled]:
        for run in self._close(held, first, count):
            if not counted:
                self.put_back(run, delay_s, at)
                continue
            for part, attempts in self._counted(run):
                if self._max_attempts is not None and attempts >= self._max_attempts:
                    self._give_up(part, "max attempts", "", attempts)
                else:
                    self.put_back(part, delay_s, at)
        return ((held, first, count),)

    @override
    def bury(self, held: Held, first: int, count: int, reason: str) -> Sequence[Settled]:
        for run in self._close(held, first, count):
            for single in run.singles():
                made = self._failed.get((run.chunk.lane, single.sequence), 0) + 1
                self._give_up(single, "rejected", reason, made)
        return ((held, first, count),)

    @override
    def renew(self, held: Held, first: int, count: int, deadline: float) -> None:
        held.renew(first, count, deadline)
        self._watch(deadline)

    @override
    def end_leases(self, cause: UnibusError, at: Moment, *, counted: bool = True) -> list[Loss]:
        return [
            loss
            for held in tuple(self._held)
            for loss in self.end(held, cause, at, counted=counted)
        ]

    @override
    def give_back(
        self,
        member: object,
        held: Iterable[Held],
        cause: UnibusError,
        at: Moment,
        *,
        counted: bool,
    ) -> list[Loss]:
        return [loss for each in held for loss in self.end(each, cause, at, counted=counted)]

    @override
    def abandon(self, lease: Lease, at: Moment, *, counted: bool) -> list[Loss]:
        losses = []
        for held in tuple(self._held):
            count = sum(length for _, length in held.open_in(0, len(held)))
            self.back(held, 0, len(held), counted=counted, delay_s=0, at=at)
            losses.append(Loss(held, lease, count))
        return losses

    def end(
        self,
        held: Held,
        cause: UnibusError,
        at: Moment,
        *,
        counted: bool = True,
        due: float | None = None,
    ) -> list[Loss]:
        """End the leases of *held* that hold, or only those whose deadline is *due*."""
        losses = []
        for first, length, lease in held.leases:
            count = sum(each for _, each in held.open_in(first, length))
            is_due = due is None or (lease.deadline is not None and lease.deadline <= due)
            if lease.lost in (None, cause) and count and is_due:
                lease.lost = cause
                losses.append(Loss(held, lease, count))
                self.back(held, first, length, counted=counted, delay_s=0, at=at)
        return losses

    @override
    def next_due(self) -> float | None:
        return self._lease_due

    @override
    def wake(self, at: Moment) -> list[Loss]:
        if self._lease_due is None or self._lease_due > at.now:
            return []
        cause = LeaseLostError(_OVER)
        losses = [
            loss for held in tuple(self._held) for loss in self.end(held, cause, at, due=at.now)
        ]
        deadlines = [
            lease.deadline
            for held in self._held
            for first, length, lease in held.leases
            if lease.deadline is not None and held.open_in(first, length)
        ]
        self._lease_due = min(deadlines, default=None)
        return losses

    def _give_up(self, run: Run, reason: str, detail: str, attempts: int | None) -> None:
        self.gone(run)
        self.dead.append(Dead(run, reason, detail, attempts))

    def _watch(self, deadline: float | None) -> None:
        if deadline is not None and (self._lease_due is None or deadline < self._lease_due):
            self._lease_due = deadline

    def _close(self, held: Held, first: int, count: int) -> list[Run]:
        runs = held.close(first, count)
        if held.is_settled:
            self._held.discard(held)
        return runs

    def _counted(self, run: Run) -> Iterator[tuple[Run, int]]:
        for single in run.singles():
            (name,) = _names(single)
            self._failed[name] = attempts = self._failed.get(name, 0) + 1
            yield single, attempts

    def _attempts(self, runs: Sequence[Run]) -> list[int] | None:
        failed = self._failed
        if not failed:
            return None
        return [failed.get(name, 0) for run in runs for name in _names(run)]


def _names(run: Run) -> Iterator[tuple[object, int]]:
    lane, first = run.chunk.lane, run.sequence
    return ((lane, sequence) for sequence in range(first, first + run.length))
