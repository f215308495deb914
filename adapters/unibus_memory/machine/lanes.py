"""A subscription in lanes, each of which one consumer has to itself: partitions, ordered queues."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from typing_extensions import override

from unibus.spi import Lease, LeaseLostError, UnibusError, UnsupportedError
from unibus_memory.machine.books import Place
from unibus_memory.machine.chooser import PLAIN, Chooser
from unibus_memory.machine.chunks import Run
from unibus_memory.machine.held import Held, Loss
from unibus_memory.machine.log import LogReader
from unibus_memory.machine.store import Moment, Settled, Shelf, Store

Sharing = Literal["evenly", "first", "sole"]
"""Who gets a lane: all members an equal number each; whoever came first; the only one there is."""


class LaneState:
    """One lane: what is in it, and who has it.

    Attributes:
        shelves: What is in it; the first is what comes from the topic.
        owner: Who reads it.
        lease: Under which; ``None`` until something is taken after a change.
        is_moving: It is being taken from its owner.
    """

    __slots__ = ("_epoch", "_name", "is_moving", "lease", "owner", "shelves")

    def __init__(self, name: str, shelves: Sequence[Shelf]) -> None:
        self.shelves = shelves
        self.owner: object = None
        self.lease: Lease | None = None
        self.is_moving = False
        self._name = name
        self._epoch = 0

    @property
    def can_give(self) -> bool:
        """Whether its owner would find something."""
        return not self.is_moving and not all(shelf.is_empty for shelf in self.shelves)

    def hand_out(self, limit: int, deadline: float | None, at: Moment) -> Held | None:
        """Hand out what is foremost to the owner; the lease of all of it ends at *deadline*."""
        if self.lease is None:
            self._epoch += 1
            self.lease = Lease(f"{self._name} epoch {self._epoch}")
        self.lease.deadline = deadline
        for shelf in self.shelves:
            if (held := shelf.hand_out(limit, self.lease, at)) is not None:
                return held
        return None

    @property
    def due(self) -> float | None:
        """When its lease ends, if somebody works under it.

        Not while it is being taken away: then it ends when the work has ended.
        """
        if self.lease is None or self.is_moving or not self.is_at_work:
            return None
        return self.lease.deadline

    @property
    def is_at_work(self) -> bool:
        """Whether something of it is handed out and not settled."""
        return any(shelf.is_at_work for shelf in self.shelves)

    def end(self, cause: UnibusError, at: Moment, *, counted: bool) -> list[Loss]:
        """End the lease, and begin again with what was not settled under it."""
        lease, self.lease = self.lease, None
        if lease is None:
            return []
        lease.lost = cause
        return [
            loss for shelf in self.shelves for loss in shelf.abandon(lease, at, counted=counted)
        ]


class LanedSubscription(Store):
    """Hands each lane to one member, and moves lanes when members come and go.

    Args:
        name: Of the subscription.
        lanes: What is in each.
        sharing: Who gets which.
        chooser: Decides which lane goes first.
    """

    def __init__(
        self,
        name: str,
        lanes: Sequence[Sequence[Shelf]],
        sharing: Sharing,
        chooser: Chooser = PLAIN,
    ) -> None:
        super().__init__()
        self._chooser = chooser
        self._name = name
        self._lanes: list[LaneState] = []
        self._sharing = sharing
        self._members: list[object] = []
        self._turn = 0
        for shelves in lanes:
            self.add(shelves)

    # Who has which lane.

    @override
    def join(self, member: object) -> None:
        if member in self._members:
            return
        if self._sharing == "sole" and self._members:
            raise UnsupportedError(
                f"Subscription {self._name!r} is being read by another consumer, and a stream has"
                " one reader a subscription; close that one, or declare another subscription"
            )
        self._members.append(member)
        self._deal()

    @override
    def leave(self, member: object, at: Moment) -> None:
        if member not in self._members:
            return
        self._members.remove(member)
        for lane in self._of(member):
            lane.end(LeaseLostError("the consumer has left"), at, counted=False)
            lane.owner, lane.is_moving = None, False
        self._deal()

    @override
    def rest(self, member: object, at: Moment) -> None:
        if self._sharing != "sole":
            self.leave(member, at)

    def surplus(self) -> Mapping[object, list[LaneState]]:
        """Return what members have beyond their share; nothing more is handed out from it."""
        if self._sharing != "evenly" or not self._members:
            return {}
        share, rest = divmod(len(self._lanes), len(self._members))
        by_size = sorted(self._members, key=lambda member: -len(self._of(member)))
        moving: dict[object, list[LaneState]] = {}
        for place, member in enumerate(by_size):
            own = self._of(member)
            over = own[share + (place < rest) :]
            if lanes := [lane for lane in over if not lane.is_moving]:
                moving[member] = lanes
        for lane in (each for lanes in moving.values() for each in lanes):
            lane.is_moving = True
            if lane.lease is not None:
                lane.lease.stopping = True
        return moving

    def move(self, lanes: Iterable[LaneState], cause: UnibusError, at: Moment) -> list[Loss]:
        """Take *lanes*, which were surplus, from their owners and deal them anew."""
        losses = []
        for lane in lanes:
            if lane.is_moving:  # else its owner has left meanwhile
                losses += lane.end(cause, at, counted=False)
                lane.owner, lane.is_moving = None, False
        self._deal()
        return losses

    @override
    def is_idle(self, member: object) -> bool:
        return not self._of(member)

    @override
    def is_out(self, member: object) -> bool:
        return member not in self._members

    def _of(self, member: object) -> list[LaneState]:
        return [lane for lane in self._lanes if lane.owner == member]

    def _deal(self) -> None:
        for lane in self._lanes:
            if lane.owner is None and self._members:
                poorest = min(self._members, key=lambda member: len(self._of(member)))
                lane.owner = poorest if self._sharing == "evenly" else self._members[0]

    # Messages.

    @property
    def size(self) -> int:
        """How many lanes there are."""
        return len(self._lanes)

    def add(self, shelves: Sequence[Shelf]) -> None:
        """Have one lane more."""
        self._lanes.append(LaneState(f"lane {len(self._lanes)}", shelves))
        for shelf in shelves:
            shelf.dead = self.dead
        self._deal()

    @override
    def limit(self, max_attempts: int | None) -> None:
        for shelf in self._shelves():
            shelf.limit(max_attempts)

    @property
    @override
    def waiting(self) -> int:
        return sum(shelf.waiting for shelf in self._shelves())

    @override
    def can_give(self, member: object) -> bool:
        return any(lane.can_give for lane in self._of(member))

    @override
    def publish(self, number: int, runs: Iterable[Run]) -> None:
        self._lanes[number].shelves[0].publish(number, runs)

    @override
    def take(self, member: object, limit: int, lease_s: float | None, at: Moment) -> Held | None:
        count = len(self._lanes)
        deadline = None if lease_s is None or self._sharing != "evenly" else at.now + lease_s
        for step in self._chooser.ordered(range(count)):
            lane = self._lanes[(self._turn + step) % count]
            if lane.owner == member and lane.can_give:
                held = lane.hand_out(limit, deadline, at)
                if held is not None:
                    self._turn = (self._turn + step + 1) % count
                    return held
        return None

    @override
    def done(self, held: Held, first: int, count: int) -> Sequence[Settled]:
        return _shelf(held).done(held, first, count)

    @override
    def back(
        self, held: Held, first: int, count: int, *, counted: bool, delay_s: float, at: Moment
    ) -> Sequence[Settled]:
        shelf = _shelf(held)
        return shelf.back(held, first, count, counted=counted, delay_s=delay_s, at=at)

    @override
    def bury(self, held: Held, first: int, count: int, reason: str) -> Sequence[Settled]:
        return _shelf(held).bury(held, first, count, reason)

    @override
    def renew(self, held: Held, first: int, count: int, deadline: float) -> None:
        lease = held.lease(first)
        if lease.deadline is not None:
            lease.deadline = deadline

    @override
    def end_leases(self, cause: UnibusError, at: Moment, *, counted: bool = True) -> list[Loss]:
        return [loss for lane in self._lanes for loss in lane.end(cause, at, counted=counted)]

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
        return [loss for lane in self._of(member) for loss in lane.end(cause, at, counted=counted)]

    @override
    def uncovered(self, member: object) -> Sequence[Settled]:
        return [
            each
            for lane in self._of(member)
            for shelf in lane.shelves
            if isinstance(shelf, LogReader)
            for each in shelf.uncovered()
        ]

    def seek(self, member: object, place: Place, cause: UnibusError, at: Moment) -> list[Loss]:
        """Go on at *place* in the lanes of *member*; what it holds of them is read again."""
        losses = []
        for lane in self._of(member):
            reader = lane.shelves[0]
            if isinstance(reader, LogReader) and (position := place(reader.log)) is not None:
                losses += lane.end(cause, at, counted=False)
                reader.begin(position)
        return losses

    @override
    def purge(self) -> None:
        for shelf in self._shelves():
            shelf.purge()

    @override
    def next_due(self) -> float | None:
        dues = [lane.due for lane in self._lanes] + [each.next_due() for each in self._shelves()]
        return min((due for due in dues if due is not None), default=None)

    @override
    def wake(self, at: Moment) -> list[Loss]:
        losses = [loss for shelf in self._shelves() for loss in shelf.wake(at)]
        cause = LeaseLostError("the consumer neither took more nor extended its lease in time")
        for lane in self._lanes:
            if lane.due is not None and lane.due <= at.now:
                # It is out until it takes again: another one may be quicker.
                losses += self.give_back(lane.owner, (), cause, at, counted=True)
                self.leave(lane.owner, at)
        return losses

    @override
    def close(self) -> None:
        for shelf in self._shelves():
            if isinstance(shelf, LogReader):
                shelf.close()

    def _shelves(self) -> Iterable[Shelf]:
        return (shelf for lane in self._lanes for shelf in lane.shelves)


def _shelf(held: Held) -> Shelf:
    assert isinstance(held.source, Shelf)  # noqa: S101  # whoever hands out says so
    return held.source
