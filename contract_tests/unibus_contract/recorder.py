"""Writes the history of one run while it happens; thread-safe."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypedDict, Unpack

from unibus.errors import UnibusError
from unibus.message import Message
from unibus.outcome import Outcome, OutcomeKind
from unibus_contract import stamps
from unibus_contract.history import Event, History, Kind, Phase, Scope
from unibus_contract.ledger import Awaited, Ledger


class EventFields(TypedDict, total=False):
    """The fields of an event that whoever notes it may know."""

    message: str
    destination: str
    subscription: str
    key: str
    routing_key: str
    n: int
    lease: str
    attempt: int
    headers: str
    body: str
    identity: str
    death: str
    error: str


_PHASES: Mapping[OutcomeKind, Phase] = {
    OutcomeKind.ACCEPTED: Phase.OK,
    OutcomeKind.SETTLED: Phase.OK,
    OutcomeKind.REJECTED: Phase.FAIL,
    OutcomeKind.LEASE_LOST: Phase.FAIL,
    OutcomeKind.SENT: Phase.INFO,
    OutcomeKind.UNKNOWN: Phase.INFO,
}


def phase_of(outcome: Outcome | None) -> Phase:
    """Return how far something got that ended with *outcome*; ``None``: it has not ended."""
    return Phase.INFO if outcome is None else _PHASES[outcome.kind]


def describe(error: BaseException | None) -> str:
    """Return class and text of *error*; empty without one."""
    return "" if error is None else f"{type(error).__name__}: {error}"


def phase_of_error(error: UnibusError) -> Phase:
    """Return whether what raised *error* certainly had no effect."""
    return Phase.INFO if error.outcome_unknown else Phase.FAIL


class Recorder:
    """The history of one run, and what is still to come in it.

    Attributes:
        run: Names the run in every body.
        strays: Messages of other runs that were met.
        sentinels: Which sentinels each subscription has seen.
    """

    def __init__(self, run: str, now: Callable[[], float] = time.monotonic) -> None:
        self.run = run
        self.strays = 0
        self.sentinels: set[tuple[str, int]] = set()
        self._now = now
        self._began = now()
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._ledger = Ledger()
        self._names: Counter[str] = Counter()
        self._counters: Counter[tuple[str, str | None]] = Counter()
        self._by_identity: dict[str, str] = {}
        self._messages: dict[str, Message] = {}
        self._next_sentinel = itertools.count()

    def name(self, prefix: str) -> str:
        """Return the next name for a process, e.g. ``c2``."""
        with self._changed:
            self._names[prefix] += 1
            return f"{prefix}{self._names[prefix]}"

    def note(self, process: str, kind: Kind, phase: Phase, **fields: Unpack[EventFields]) -> Event:
        """Append one event and return it."""
        with self._changed:
            event = Event(
                t=self._now() - self._began,
                seq=len(self._events),
                process=process,
                kind=kind,
                phase=phase,
                **fields,
            )
            self._events.append(event)
            self._ledger.follow(event)
            self._changed.notify_all()
            return event

    def fault(self, what: str) -> None:
        """Note that something was done to the broker or the network."""
        self.note("bench", Kind.FAULT, Phase.INFO, error=what)

    @property
    def history(self) -> History:
        """What has happened so far."""
        with self._changed:
            return History(self._events)

    @property
    def count(self) -> int:
        """How many events there are so far."""
        return len(self._events)

    def stamp(self, producer: str, key: str | None) -> stamps.Stamp:
        """Return the stamp of the next message of *producer* and *key*."""
        with self._changed:
            n = self._counters[producer, key]
            self._counters[producer, key] += 1
            return stamps.stamp(self.run, producer, key, n)

    def sentinel(self) -> stamps.Stamp:
        """Return the stamp of the next sentinel."""
        return stamps.sentinel(self.run, next(self._next_sentinel))

    def remember(self, message: str, published: Message) -> None:
        """Keep what was *published* as logical *message*, to compare and to imitate."""
        with self._changed:
            self._messages[message] = published
            if published.id is not None:
                self._by_identity[published.id] = message

    def published(self, message: str) -> Message:
        """Return what was published as logical *message*."""
        return self._messages[message]

    def recognise(self, body: bytes | None, identity: str) -> stamps.Stamp | str | None:
        """Return the sentinel or the logical id that a delivery is; ``None`` for a stray.

        What nobody published is named by its body, so that a checker can point at it.
        """
        found = stamps.read(body)
        if found is not None and found.run != self.run:
            self.strays += 1
            return None
        if found is not None:
            return found if found.is_sentinel else found.message
        return self._by_identity.get(identity, f"unreadable/{identity}")

    def saw_sentinel(self, subscription: str, n: int) -> None:
        """Note that *subscription* has come to sentinel *n*."""
        with self._changed:
            self.sentinels.add((subscription, n))
            self._changed.notify_all()

    def expect(self, scope: Scope, *, with_past: bool = False) -> None:
        """Await in *scope* what is accepted for it from now on, or *with_past* also before."""
        with self._changed:
            self._ledger.register(scope, with_past=with_past)

    def rewind(self, subscription: str, is_again: Callable[[Event], bool] = lambda _: True) -> None:
        """Await again what *subscription* had settled, since it was sent back."""
        with self._changed:
            self._ledger.rewind(subscription, is_again)

    def scope(self, subscription: str) -> Scope:
        """Return the scope that was registered for *subscription*."""
        return self._ledger.of(subscription).scope

    def awaited(self, subscription: str) -> Awaited:
        """Return what *subscription* has yet to settle."""
        return self._ledger.of(subscription)

    def is_done(self, subscription: str) -> bool:
        """Return whether *subscription* has settled everything that was accepted for it."""
        with self._changed:
            return not self._ledger.of(subscription).open

    def poke(self) -> None:
        """Have ``wait_for`` look again, for something that is no event."""
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, predicate: Callable[[], bool], *, within_s: float) -> bool:
        """Return whether *predicate* became true within *within_s*; asked after each event."""
        with self._changed:
            return self._changed.wait_for(predicate, within_s)
