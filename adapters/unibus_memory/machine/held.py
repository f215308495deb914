"""What a consumer has taken: which messages, under which leases, and what of it is open."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from unibus.spi import Lease, LeaseRange
from unibus_memory.machine.chunks import Chunk, Run

Range = tuple[int, int]
"""A first index and how many follow."""


class Held:
    """One take, until all of it is settled. It is the ticket of its batch.

    Attributes:
        runs: The messages.
        attempts: Deliveries before this one, per index; ``None`` when it is the first for all.
        source: Who handed it out.
    """

    __slots__ = ("_leases", "_offsets", "_open", "attempts", "runs", "source")

    def __init__(
        self,
        runs: Sequence[Run],
        lease: Lease,
        attempts: list[int] | None = None,
        source: object = None,
    ) -> None:
        self.runs = runs
        self.attempts = attempts
        self.source = source
        self._offsets = list(itertools.accumulate((run.length for run in runs), initial=0))
        self._open = [(0, self._offsets[-1])]
        self._leases: Sequence[LeaseRange] = (LeaseRange(0, self._offsets[-1], lease),)

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

    def runs_in(self, first: int, count: int) -> list[Run]:
        """Return the messages of a range."""
        found = []
        for run, offset in zip(self.runs, self._offsets, strict=False):
            low, high = max(first, offset), min(first + count, offset + run.length)
            if low < high:
                found.append(run.part(low - offset, high - low))
        return found

    # What is open.

    @property
    def is_settled(self) -> bool:
        """Whether nothing is open."""
        return not self._open

    def open_in(self, first: int, count: int) -> list[Range]:
        """Return what of a range is open."""
        stop = first + count
        bounds = ((max(low, first), min(high, stop)) for low, high in self._open)
        return [(low, high - low) for low, high in bounds if low < high]

    def close(self, first: int, count: int) -> list[Run]:
        """Mark a range as settled and return what of it was open."""
        stop, left, closed = first + count, [], []
        for low, high in self._open:
            if low < first:
                left.append((low, min(high, first)))
            if high > stop:
                left.append((max(low, stop), high))
            if max(low, first) < min(high, stop):
                closed.append((max(low, first), min(high, stop)))
        self._open = left
        return [run for low, high in closed for run in self.runs_in(low, high - low)]

    # Leases.

    @property
    def leases(self) -> Sequence[LeaseRange]:
        """The leases, ascending; read without a lock, so never changed in place."""
        return self._leases

    def lease(self, index: int) -> Lease:
        """Return the lease of delivery *index*."""
        return self._range_of(index).lease

    def renew(self, first: int, count: int, deadline: float) -> None:
        """Let the lease of a range end at *deadline*; a part of what is open gets its own."""
        whole = self._range_of(first)
        stop, whole_stop = first + count, whole.first + whole.length
        still_open = self.open_in(whole.first, whole.length)
        if all(first <= low and low + length <= stop for low, length in still_open):
            whole.lease.deadline = deadline
            return
        parts = (
            LeaseRange(whole.first, first - whole.first, whole.lease),
            LeaseRange(first, count, Lease(whole.lease.scope, deadline)),
            LeaseRange(stop, whole_stop - stop, whole.lease),
        )
        at = self._leases.index(whole)
        kept = [part for part in parts if part.length > 0]
        self._leases = (*self._leases[:at], *kept, *self._leases[at + 1 :])

    def _range_of(self, index: int) -> LeaseRange:
        for each in self._leases:
            if each.first <= index < each.first + each.length:
                return each
        raise IndexError(index)


class Loss(NamedTuple):
    """A lease that ended, and what it meant to who held it.

    Attributes:
        held: What was held under it.
        lease: It, with the reason in it.
        taken: How many deliveries it took away.
        unconfirmed: What was settled, and did not take effect.
    """

    held: Held
    lease: Lease
    taken: int
    unconfirmed: Sequence[Range] = ()
