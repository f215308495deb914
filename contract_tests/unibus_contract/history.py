"""What happened in one run, event by event, and how it is kept in a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path

from typing_extensions import override

from unibus.message import Headers, HeaderValue

_READABLE = 160
"""Digests up to this length are the value itself, so that a counter-example can be read."""


class Kind(StrEnum):
    """What was done, or seen."""

    PUBLISH = "publish"
    DELIVER = "deliver"
    ACK = "ack"
    NACK = "nack"
    RELEASE = "release"
    REJECT = "reject"
    EXTEND = "extend"
    JOIN = "join"
    """A consumer was opened."""
    CLOSE = "close"
    """A consumer or producer was closed in good order."""
    CRASH = "crash"
    """A process was killed, or its connections torn without a word."""
    FAULT = "fault"
    """Something was done to the broker or the network; ``error`` says what."""


SETTLEMENTS = frozenset({Kind.ACK, Kind.NACK, Kind.RELEASE, Kind.REJECT})


class Phase(StrEnum):
    """How far it got."""

    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    """It certainly did not take effect."""
    INFO = "info"
    """Nobody can tell whether it did; for events that have no other phase, that they happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a history. A field that does not apply is empty.

    Attributes:
        t: Seconds since the run began.
        seq: Position in the history; what happened first has the lower one.
        process: Which producer or consumer, e.g. ``c2``.
        kind: What happened.
        phase: How far it got.
        message: Logical id: ``producer/key/counter``; the same on every copy.
        destination: The topic.
        subscription: The subscription, for everything on the receiving side.
        key: The order key.
        routing_key: The routing key.
        n: Counter of the message in its producer and key, from 0.
        lease: Names one delivery, e.g. ``c2#17``; settlements refer to it.
        attempt: The attempt number that the delivery carried.
        headers: Digest of the program's headers.
        body: Digest of the body.
        identity: ``delivery.id``.
        death: Provenance of a dead letter, as ``name=value`` pairs.
        error: What went wrong, by class and text.
    """

    t: float
    seq: int
    process: str
    kind: Kind
    phase: Phase
    message: str = ""
    destination: str = ""
    subscription: str = ""
    key: str = ""
    routing_key: str = ""
    n: int = -1
    lease: str = ""
    attempt: int = -1
    headers: str = ""
    body: str = ""
    identity: str = ""
    death: str = ""
    error: str = ""

    @override
    def __str__(self) -> str:
        head = f"{self.seq:>5} {self.t:9.3f}s {self.process:<6} {self.kind} {self.phase}"
        shown = (f"{name}={getattr(self, name)}" for name in _SHOWN if getattr(self, name))
        attempt = (f"attempt={self.attempt}",) if self.attempt >= 0 else ()
        return " ".join((head, *shown, *attempt))


_SHOWN = (
    "message",
    "destination",
    "subscription",
    "routing_key",
    "lease",
    "headers",
    "body",
    "death",
    "error",
)
_DEFAULTS = {each.name: each.default for each in fields(Event)}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a checker judges: one subscription, and what is right for it.

    Attributes:
        topic: Where it gets its messages from.
        subscription: Its name.
        wants: Which publish events concern it; everything published to the topic by default.
        lease_s: After how long a delivery may be handed to another; ``None``: not by time.
        max_attempts: The attempt whose failure dead-letters; ``None``: without limit.
        dead_letter: The queue that takes what cannot be handled.
    """

    topic: str
    subscription: str
    wants: Callable[[Event], bool] = lambda _: True
    lease_s: float | None = None
    max_attempts: int | None = None
    dead_letter: str | None = None


class History:
    """The events of one run, in order; immutable."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.events: Sequence[Event] = tuple(sorted(events, key=lambda each: each.seq))

    def of(self, *kinds: Kind, subscription: str | None = None) -> list[Event]:
        """Return the events of *kinds*, those of one *subscription* if it is named."""
        wanted = frozenset(kinds)
        return [
            each
            for each in self.events
            if each.kind in wanted and subscription in (None, each.subscription)
        ]

    def write(self, path: Path) -> None:
        """Write one JSON object a line; fields with nothing in them are left out."""
        lines = (json.dumps(_slim(event), ensure_ascii=False) for event in self.events)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> History:
        """Return the history that ``write`` kept."""
        lines = path.read_text(encoding="utf-8").splitlines()
        return cls(event_of(json.loads(line)) for line in lines)


def _slim(event: Event) -> dict[str, object]:
    pairs = ((each.name, getattr(event, each.name)) for each in fields(Event))
    return {name: value for name, value in pairs if value != _DEFAULTS[name]}


def event_of(values: Mapping[str, object]) -> Event:
    """Return the event that one line of a history file means.

    Raises:
        TypeError: It has a field that events do not have.
        ValueError: Its kind or phase is none that exists.
    """
    kind, phase = Kind(str(values["kind"])), Phase(str(values["phase"]))
    return Event(**{**values, "kind": kind, "phase": phase})  # type: ignore[arg-type]  # JSON has the types that were written


def body_digest(body: bytes | None) -> str:
    """Return a text that is equal for equal bodies, and short."""
    if body is None:
        return "tombstone"
    shown = repr(body)
    if len(shown) <= _READABLE:
        return shown
    return f"{len(body)} bytes {hashlib.sha256(body).hexdigest()[:16]}"


def headers_digest(headers: Mapping[str, HeaderValue] | None) -> str:
    """Return a text that is equal for equal headers of equal types, repeats and their order."""
    if not headers:
        return ""
    pairs = headers.pairs if isinstance(headers, Headers) else tuple(headers.items())
    # Sorting by name alone is stable: repeated names keep their order, brokers may mix the others.
    ordered = sorted(pairs, key=lambda pair: pair[0])
    shown = ", ".join(f"{name!r}: {value!r}" for name, value in ordered)
    if len(shown) <= _READABLE:
        return shown
    return f"{len(pairs)} headers {hashlib.sha256(shown.encode()).hexdigest()[:16]}"
