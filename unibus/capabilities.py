"""What a broker promises: graded values, gathered in named profiles."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum, IntEnum
from math import inf
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")


class Support(Enum):
    """Who keeps a promise."""

    NATIVE = "native"
    """The broker."""
    EMULATED = "emulated"
    """unibus, on top of what the broker has; ``how`` and ``cost`` say more."""
    NONE = "none"
    """Nobody: asking for it is refused with ``UnsupportedError`` before any I/O."""


@dataclass(frozen=True, slots=True)
class Grade(Generic[T]):
    """One promise: its value, who keeps it, and at what cost. False when nobody keeps it."""

    value: T
    support: Support
    how: str = ""
    cost: str = ""

    def __bool__(self) -> bool:
        return self.support is not Support.NONE


def native(value: T, note: str = "") -> Grade[T]:
    """Return a promise that the broker itself keeps."""
    return Grade(value, Support.NATIVE, note)


def emulated(value: T, *, how: str, cost: str) -> Grade[T]:
    """Return a promise that unibus keeps; *how* and *cost* are one clause each."""
    return Grade(value, Support.EMULATED, how, cost)


def none(value: T, why: str = "") -> Grade[T]:
    """Return a promise that is not made; *value* is what that leaves, *why* one clause."""
    return Grade(value, Support.NONE, why)


class Ordering(IntEnum):
    """Which messages a subscription sees in publishing order; higher includes lower."""

    NONE = 0
    KEY = 1
    TOPIC = 2


class Replay(IntEnum):
    """How far a subscription can go back; higher includes lower."""

    NONE = 0
    EARLIEST = 1
    POSITION = 2
    TIME = 3


class Transactions(IntEnum):
    """What a transaction can hold; higher includes lower."""

    NONE = 0
    PRODUCE = 1
    CONSUME_PRODUCE = 2


class Confirm(IntEnum):
    """What an accepted publish means; higher includes lower."""

    NONE = 0
    ACCEPTED = 1
    DURABLE = 2
    ROUTED = 3


class Attempts(IntEnum):
    """How well deliveries of one message are counted; higher includes lower."""

    NONE = 0
    APPROXIMATE = 1
    EXACT = 2


class Backlog(IntEnum):
    """How well waiting messages are counted; higher includes lower."""

    NONE = 0
    APPROXIMATE = 1
    EXACT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLimits:
    """How long a delivery may be held: *max_s* in all, and whether ``extend`` works."""

    max_s: float = inf
    default_s: float | None = None
    extendable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderLimits:
    """What headers can be. ``None`` as a number: the broker sets no limit of its own.

    Attributes:
        max_count: How many a program may set; those that unibus needs are taken off already.
        max_bytes: All names and values of a message together.
        max_name_bytes: One name, in UTF-8.
        types: Types whose values come back equal and of the same type.
        repeats: Whether a name may occur more than once, in order.
    """

    max_count: int | None = None
    max_bytes: int | None = None
    max_name_bytes: int | None = None
    types: frozenset[str] = frozenset({"str", "bytes", "int", "float", "bool", "datetime", "None"})
    repeats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """How much one hand-over to the client library carries."""

    max_messages: int = 1000
    max_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayLimits:
    """How a delayed publish behaves: longest, coarseness, whether it can be taken back."""

    max_s: float = 0.0
    resolution_s: float = 0.0
    cancellable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DedupLimits:
    """For how long, and among what, a repeated id is dropped by the broker."""

    window_s: float = 0.0
    scope: str = ""


AcksLevel = Literal["all", "leader", "none"]
_NO = "the adapter does not declare it"


def _no(value: T) -> Grade[T]:
    return none(value, _NO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What one profile promises. Every value left out is not promised.

    Attributes:
        ordering: Which messages keep their order.
        on_nack: What later messages of the key do after a nack: ``blocks`` or ``overtakes``.
        settle: ``individual``: one settlement touches no other; ``cumulative``: all before it.
        nack: Whether a failed delivery can be had again at once.
        nack_delay_s: Longest delay of ``nack(delay_s)``.
        release: Whether giving back unhandled is ``uncounted`` or ``counted`` as an attempt.
        lease: How long a delivery may be held.
        ack_confirmed: Whether the broker answers a settlement (else a barrier is asked).
        attempts: How deliveries are counted.
        competing: How many consumers of one subscription can work at once; ``None``: any number.
        groups: Whether independent readers of one retained log keep positions of their own.
        fan_out: Whether each subscription of a topic gets its own copy.
        filter_exact, filter_pattern, filter_headers: Who applies that filter.
        confirm: What an accepted publish means.
        unroutable: ``error`` if a message that no subscription matches is reported.
        acks: Which levels ``bus.producer(acks=)`` takes.
        dedup: Broker-side removal of repeated ids.
        transactions: What can be atomic.
        replay: How far ``seek`` can go back.
        start: Where a new subscription can begin: ``declared``, ``earliest``, ``latest``, ``time``.
        browse: Whether messages can be read without side effects.
        delay: Delayed publishing.
        ttl: Whether a message can expire.
        priority: Number of levels.
        dead_letter: Whether what cannot be handled is kept, with its reason.
        redrive: Whether dead letters can be sent back to where they came from.
        headers: What headers can be.
        empty_body: Whether a body may have no bytes.
        tombstone: Whether a body may be ``None`` and be told from an empty one.
        max_body_bytes: Largest body; ``None`` leaves it to the broker's configuration.
        max_batch: How much one hand-over carries.
        backlog: How waiting messages are counted.
        request_reply: Whether replies can be had.
        at_most_once, at_least_once: Which ``bus.consumer(delivery=)`` is offered.
        durable: Whether accepted messages survive a restart of the broker.
        unmanaged: Whether ``managed=False`` works with data rights only.
        topology: Whether plan, apply and describe work.
        ordered_pipeline: Several batches of one key may be under way without breaking order.
        buffered_bytes: Whether ``Flow.max_buffered_bytes`` is kept.
        give_back_keeps_membership: Whether ``pause(give_back=True)`` keeps the consumer's place.
        max_name_bytes: Longest name of a topic or subscription.
    """

    ordering: Grade[Ordering] = field(default_factory=lambda: _no(Ordering.NONE))
    on_nack: Grade[Literal["blocks", "overtakes"]] = field(default_factory=lambda: _no("overtakes"))
    settle: Grade[Literal["individual", "cumulative"]] = field(
        default_factory=lambda: _no("individual")
    )
    nack: Grade[bool] = field(default_factory=lambda: _no(value=False))
    nack_delay_s: Grade[float] = field(default_factory=lambda: _no(0.0))
    release: Grade[Literal["uncounted", "counted"]] = field(default_factory=lambda: _no("counted"))
    lease: Grade[LeaseLimits] = field(default_factory=lambda: _no(LeaseLimits()))
    ack_confirmed: Grade[bool] = field(default_factory=lambda: _no(value=False))
    attempts: Grade[Attempts] = field(default_factory=lambda: _no(Attempts.NONE))
    competing: Grade[int | None] = field(default_factory=lambda: _no(1))
    groups: Grade[bool] = field(default_factory=lambda: _no(value=False))
    fan_out: Grade[bool] = field(default_factory=lambda: _no(value=False))
    filter_exact: Grade[bool] = field(default_factory=lambda: _no(value=False))
    filter_pattern: Grade[bool] = field(default_factory=lambda: _no(value=False))
    filter_headers: Grade[bool] = field(default_factory=lambda: _no(value=False))
    confirm: Grade[Confirm] = field(default_factory=lambda: _no(Confirm.NONE))
    unroutable: Grade[Literal["error", "dropped"]] = field(default_factory=lambda: _no("dropped"))
    acks: Grade[frozenset[str]] = field(default_factory=lambda: _no(frozenset()))
    dedup: Grade[DedupLimits] = field(default_factory=lambda: _no(DedupLimits()))
    transactions: Grade[Transactions] = field(default_factory=lambda: _no(Transactions.NONE))
    replay: Grade[Replay] = field(default_factory=lambda: _no(Replay.NONE))
    start: Grade[frozenset[str]] = field(default_factory=lambda: _no(frozenset({"declared"})))
    browse: Grade[bool] = field(default_factory=lambda: _no(value=False))
    delay: Grade[DelayLimits] = field(default_factory=lambda: _no(DelayLimits()))
    ttl: Grade[bool] = field(default_factory=lambda: _no(value=False))
    priority: Grade[int] = field(default_factory=lambda: _no(1))
    dead_letter: Grade[bool] = field(default_factory=lambda: _no(value=False))
    redrive: Grade[bool] = field(default_factory=lambda: _no(value=False))
    headers: Grade[HeaderLimits] = field(default_factory=lambda: _no(HeaderLimits(max_count=0)))
    empty_body: Grade[bool] = field(default_factory=lambda: _no(value=False))
    tombstone: Grade[bool] = field(default_factory=lambda: _no(value=False))
    max_body_bytes: Grade[int | None] = field(default_factory=lambda: _no(None))
    max_batch: Grade[BatchLimits] = field(default_factory=lambda: _no(BatchLimits()))
    backlog: Grade[Backlog] = field(default_factory=lambda: _no(Backlog.NONE))
    request_reply: Grade[bool] = field(default_factory=lambda: _no(value=False))
    at_most_once: Grade[bool] = field(default_factory=lambda: _no(value=False))
    at_least_once: Grade[bool] = field(default_factory=lambda: _no(value=False))
    durable: Grade[bool] = field(default_factory=lambda: _no(value=False))
    unmanaged: Grade[bool] = field(default_factory=lambda: _no(value=False))
    topology: Grade[bool] = field(default_factory=lambda: _no(value=False))
    ordered_pipeline: Grade[bool] = field(default_factory=lambda: _no(value=False))
    buffered_bytes: Grade[bool] = field(default_factory=lambda: _no(value=False))
    give_back_keeps_membership: Grade[bool] = field(default_factory=lambda: _no(value=False))
    max_name_bytes: Grade[int | None] = field(default_factory=lambda: _no(None))

    def grades(self) -> dict[str, Grade[Any]]:
        """Return every promise by name, in the order of this class."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One consistent way to use a broker, and what it promises.

    Attributes:
        name: The same in URLs, specs, the lock file and reports.
        capabilities: What it promises on the broker version that was found.
        mode: What subscriptions it carries: ``queue``, ``stream``, or ``any`` for both.
        on_request: Chosen only when a spec or the URL names it.
    """

    name: str
    capabilities: Capabilities
    mode: Literal["queue", "stream", "any"] = "queue"
    on_request: bool = False
