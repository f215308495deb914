"""A batch of the outbox, and what is known about each of its messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from unibus.engine.waiting import Wake, wait
from unibus.message import HeaderValue
from unibus.outcome import ACCEPTED, Outcome, OutcomeKind
from unibus.spi import Outgoing, Timing


class Extras(NamedTuple):
    """What few messages have."""

    headers: Mapping[str, HeaderValue] | None = None
    id: str | None = None
    timing: Timing | None = None


class Home(Protocol):
    """The outbox of a batch, as far as receipts need it."""

    def when_decided(self, batch: Pending, index: int, wake: Wake) -> bool:
        """Have *wake* called when message *index* is decided; False if it is already."""

    def hurry(self) -> None:
        """Tell the sender that somebody waits."""

    def forget(self, batch: Pending) -> None:
        """Every failure of *batch* has been looked at: report it no more."""


class Pending(Outgoing):
    """A batch of the outbox and what is known about it; changed under the outbox's lock only.

    Readers take no lock: what was not accepted is written before ``decided`` moves past it, and
    read after ``decided`` was read.

    Attributes:
        number: Its place in publishing order.
        born: Monotonic second of its first message.
        size: Bytes of its bodies, keys and headers.
        decided: How many messages have an outcome, from the first.
        reported: How many the adapter has reported; behind ``decided`` after a deadline.
        has_extras: Whether it has headers, ids or timings: they come together.
    """

    __slots__ = (
        "_home",
        "_late",
        "_odd",
        "_unseen",
        "_waiters",
        "born",
        "decided",
        "has_extras",
        "number",
        "reported",
        "size",
    )

    def __init__(self, home: Home, number: int, born: float, columns: Outgoing) -> None:
        self.bodies = columns.bodies
        self.keys = columns.keys
        self.routing_keys = columns.routing_keys
        self.headers = columns.headers
        self.ids = columns.ids
        self.timings = columns.timings
        self.number = number
        self.born = born
        self.size = self.decided = self.reported = 0
        self.has_extras = False
        self._home = home
        self._odd: dict[int, Outcome] | None = None
        self._late: dict[int, Outcome] | None = None
        self._unseen: set[int] | None = None
        self._waiters: list[tuple[int, Wake]] | None = None

    # For receipts: any thread, no lock.

    def peek(self, index: int) -> Outcome | None:
        """Return what became of message *index*; ``None`` while it is undecided."""
        if index >= self.decided:
            return None
        return self._odd.get(index, ACCEPTED) if self._odd is not None else ACCEPTED

    def outcome(self, index: int) -> Outcome | None:
        """Return the same to the program: if it is a failure, it has been looked at now."""
        outcome = self.peek(index)
        if self._unseen and index in self._unseen:
            self._unseen.discard(index)
            if not self._unseen:
                self._home.forget(self)
        return outcome

    def late_outcome(self, index: int) -> Outcome | None:
        """Return what the adapter reported about message *index* after its deadline."""
        return self._late.get(index) if self._late is not None else None

    def wait(self, index: int, timeout_s: float | None) -> bool:
        """Wait until message *index* is decided; return whether it is."""
        if index < self.decided:
            return True
        return wait(lambda wake: self.when_decided(index, wake), timeout_s)

    def when_decided(self, index: int, wake: Wake) -> bool:
        """Have *wake* called when message *index* is decided; False if it is already.

        Whoever waits is in a hurry, which the sender is told.
        """
        is_open = self._home.when_decided(self, index, wake)
        if is_open:
            self._home.hurry()
        return is_open

    def failures(self) -> list[int]:
        """Return the indexes of what was not accepted; now the program has looked at them."""
        failed = sorted(self._odd or ())
        for index in failed:
            self.outcome(index)
        return failed

    # For the outbox, under its lock.

    @property
    def is_reported(self) -> bool:
        """Whether the adapter owes nothing more about a batch that was pulled."""
        return self.reported >= len(self.bodies)

    @property
    def has_unseen_failures(self) -> bool:
        """Whether there is a failure that nobody has looked at."""
        return bool(self._unseen)

    def take_unseen_failures(self) -> list[int]:
        """Return the indexes of the failures nobody has looked at; now somebody has."""
        unseen, self._unseen = self._unseen, None
        return sorted(unseen or ())

    def add_extras(self, index: int, extras: Extras) -> None:
        """Append message *index* to the columns that few batches have."""
        if self.headers is None or self.ids is None or self.timings is None:
            self.headers, self.ids, self.timings = [None] * index, [None] * index, [None] * index
            self.has_extras = True
        headers, message_id, timing = extras
        self.headers.append(headers)
        self.ids.append(message_id)
        self.timings.append(timing)

    def report(self, first: int, count: int, outcome: Outcome) -> None:
        """Take down what the adapter says about a range."""
        end = self.reported = first + count
        if end <= self.decided:  # the deadline came first
            if self._late is None:
                self._late = {}
            self._late.update(dict.fromkeys(range(first, end), outcome))
            return
        if outcome.kind is not OutcomeKind.ACCEPTED:
            self._fail(first, end, outcome)
        self.decided = end

    def decide_rest(self, outcome: Outcome) -> None:
        """Give everything undecided this outcome."""
        end = len(self.bodies)
        self._fail(self.decided, end, outcome)
        self.decided = end

    def add_waiter(self, index: int, wake: Wake) -> None:
        """Have ``due`` return *wake* once message *index* is decided."""
        if self._waiters is None:
            self._waiters = []
        self._waiters.append((index, wake))

    def due(self) -> Sequence[Wake]:
        """Return the waiters to call now, each only once."""
        waiters = self._waiters
        if waiters is None:
            return ()
        self._waiters = [each for each in waiters if each[0] >= self.decided] or None
        return [wake for index, wake in waiters if index < self.decided]

    def _fail(self, first: int, end: int, outcome: Outcome) -> None:
        odd = dict.fromkeys(range(first, end), outcome)
        if self._odd is None:
            self._odd = odd
        else:
            self._odd.update(odd)
        self._unseen = (self._unseen or set()).union(odd)
