"""What every subscription can do with its messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from unibus.spi import Lease, UnibusError
from unibus_memory.machine.chunks import Run
from unibus_memory.machine.held import Held, Loss

Settled = tuple[Held, int, int]
"""What was taken, and the range of it that is settled for good."""


class Moment(NamedTuple):
    """Monotonic seconds, and Unix seconds."""

    now: float
    wall: float


class Dead(NamedTuple):
    """Messages that were given up.

    Attributes:
        run: Them.
        reason: Why, in a word.
        detail: What the program said.
        attempts: How often each had been delivered.
    """

    run: Run
    reason: str
    detail: str
    attempts: int | None


class Content(ABC):
    """Messages of one subscription. Not thread-safe, without a clock.

    Attributes:
        dead: What was given up and nobody has asked for yet.
    """

    def __init__(self) -> None:
        self.dead: list[Dead] = []

    def take_dead(self) -> list[Dead]:
        """Return what was given up since this was asked for the last time."""
        dead = self.dead[:]
        self.dead.clear()
        return dead

    @property
    @abstractmethod
    def waiting(self) -> int:
        """How many messages can be taken, by somebody; held ones are not counted."""

    @abstractmethod
    def publish(self, number: int, runs: Iterable[Run]) -> None:
        """Add what came in lane *number*, in order."""

    @abstractmethod
    def done(self, held: Held, first: int, count: int) -> Sequence[Settled]:
        """Forget a range for good, and return what has become final by that."""

    @abstractmethod
    def back(
        self, held: Held, first: int, count: int, *, counted: bool, delay_s: float, at: Moment
    ) -> Sequence[Settled]:
        """Have a range delivered again, at once or later; *counted* as an attempt or not."""

    @abstractmethod
    def bury(self, held: Held, first: int, count: int, reason: str) -> Sequence[Settled]:
        """Give a range up."""

    @abstractmethod
    def purge(self) -> None:
        """Drop what waits; what is held stays held."""

    def limit(self, max_attempts: int | None) -> None:  # noqa: B027  # logs count none
        """Give a message up after *max_attempts* deliveries; ``None`` is never."""

    def next_due(self) -> float | None:
        """Return when ``wake`` is due."""
        return None

    def wake(self, at: Moment) -> list[Loss]:  # noqa: ARG002  # to be overridden
        """Let be delivered what is due, and end the leases whose time has come."""
        return []


class Shelf(Content):
    """Messages that are handed out under a lease of somebody else's."""

    @property
    @abstractmethod
    def is_empty(self) -> bool:
        """Whether there is nothing to hand out."""

    @property
    @abstractmethod
    def is_at_work(self) -> bool:
        """Whether something is handed out and not settled."""

    @abstractmethod
    def hand_out(self, limit: int, lease: Lease, at: Moment) -> Held | None:
        """Hand out the foremost messages, *limit* at most, under *lease*."""

    @abstractmethod
    def abandon(self, lease: Lease, at: Moment, *, counted: bool) -> list[Loss]:
        """Take back what is held under *lease*, which has ended."""


class Store(Content):
    """All messages of one subscription, and who takes them."""

    def join(self, member: object) -> None:
        """Note that *member* consumes.

        Raises:
            UnsupportedError: There is no place for it.
        """

    def leave(self, member: object, at: Moment) -> None:
        """Note that *member* consumes no more; what it held was given back before."""

    def rest(self, member: object, at: Moment) -> None:
        """Note that *member* consumes no more until it joins again, if others can take over."""

    def uncovered(self, member: object) -> Sequence[Settled]:  # noqa: ARG002  # to be overridden
        """Return what *member* settled that is not final: something before it is open."""
        return ()

    @abstractmethod
    def can_give(self, member: object) -> bool:
        """Return whether a take of *member* would find something."""

    def is_idle(self, member: object) -> bool:  # noqa: ARG002  # to be overridden
        """Return whether *member* has no share of the work."""
        return False

    def is_out(self, member: object) -> bool:  # noqa: ARG002  # to be overridden
        """Return whether *member* has lost its place and has to join again."""
        return False

    @abstractmethod
    def take(self, member: object, limit: int, lease_s: float | None, at: Moment) -> Held | None:
        """Hand out the foremost messages, *limit* at most."""

    def renew(self, held: Held, first: int, count: int, deadline: float) -> None:
        """Extend the lease of a range, if it ends by itself."""

    @abstractmethod
    def end_leases(self, cause: UnibusError, at: Moment, *, counted: bool = True) -> list[Loss]:
        """End every lease there is; *counted* as failures or not."""

    @abstractmethod
    def give_back(
        self,
        member: object,
        held: Iterable[Held],
        cause: UnibusError,
        at: Moment,
        *,
        counted: bool,
    ) -> list[Loss]:
        """Take back what *member* holds, and end its leases."""

    def forget_attempts(self) -> None:
        """Begin to count anew."""

    def close(self) -> None:
        """Let go of what others keep for it: it is deleted."""
