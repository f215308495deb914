"""What crosses between the core and an adapter: batches as columns, leases, verdicts.

Everything here is made per batch or per range, never per message, so it is slotted and positional.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from typing_extensions import override

from unibus.message import HeaderValue, Message

Timing = tuple[float | None, float | None, int | None]
"""``delay_s``, ``ttl_s`` and ``priority`` of one message."""


class Outgoing:
    """A batch on its way out. The core's object: the adapter reads it, and never changes it.

    An optional column is ``None`` when no message of the batch has that field; otherwise it has one
    entry a message. ``bodies`` is never empty and never grows after the batch was pulled.

    Attributes:
        bodies: The bytes of each message; ``None`` is a tombstone.
        keys: Order keys.
        routing_keys: Routing keys; a missing one is the empty string to a filter.
        headers: Program headers and reserved ones (``unibus-...``), all to be carried.
        ids: Ids named by the caller; where ``None``, the adapter or the broker names one.
        timings: Delay, lifetime and priority.
    """

    __slots__ = ("bodies", "headers", "ids", "keys", "routing_keys", "timings")

    def __init__(self, bodies: list[bytes | None]) -> None:
        self.bodies = bodies
        self.keys: list[str | None] | None = None
        self.routing_keys: list[str | None] | None = None
        self.headers: list[Mapping[str, HeaderValue] | None] | None = None
        self.ids: list[str | None] | None = None
        self.timings: list[Timing | None] | None = None

    def __len__(self) -> int:
        return len(self.bodies)

    def message(self, index: int) -> Message:
        """Return message *index* as one object; convenient, not quick."""
        timing = self.timings[index] if self.timings else None
        delay_s, ttl_s, priority = timing or (None, None, None)
        return Message(
            self.bodies[index],
            self.keys[index] if self.keys else None,
            self.routing_keys[index] if self.routing_keys else None,
            self.headers[index] if self.headers else None,
            self.ids[index] if self.ids else None,
            delay_s,
            ttl_s,
            priority,
        )


class Lease:
    """The right to work on some deliveries, shared by all of them and changed in place.

    The adapter makes it: Kafka one per partition and assignment epoch, RabbitMQ one per channel
    incarnation, SQS and memory one per receive. Whoever looks at it needs no lock.

    Attributes:
        scope: Names it in logs and errors, e.g. ``partition 3 epoch 7``.
        deadline: Monotonic second at which it ends by itself; ``None`` if it does not.
        stopping: It is about to end: start nothing more under it.
        lost: Why it ended; ``None`` while it holds. A settlement under a lost lease is answered
            "lease lost" by the core and never sent.
    """

    __slots__ = ("deadline", "lost", "scope", "stopping")

    def __init__(self, scope: str, deadline: float | None = None) -> None:
        self.scope = scope
        self.deadline = deadline
        self.stopping = False
        self.lost: Exception | None = None

    @override
    def __repr__(self) -> str:
        return f"<Lease {self.scope}{' lost' if self.lost else ''}>"


class LeaseRange(NamedTuple):
    """*length* deliveries of a batch, from index *first*, under one lease."""

    first: int
    length: int
    lease: Lease


class Incoming(ABC):
    """A batch on its way in, as lazy columns: nothing is decoded until it is read.

    ``ticket`` names the batch in verdicts and completions; it is hashable and must not keep native
    messages alive: it outlives them until everything is settled. Indexes never change. Reading is
    thread-safe.
    """

    __slots__ = ("ticket",)

    def __init__(self, ticket: object) -> None:
        self.ticket = ticket

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of deliveries, at least 1."""

    @abstractmethod
    def bodies(self) -> Sequence[bytes | None]:
        """Return every body, not copied."""

    @abstractmethod
    def message(self, index: int) -> Message:
        """Return delivery *index* decoded: headers as on the wire, reserved ones included.

        ``id`` is never ``None``: the one it was published with, else the broker's own name for it.

        Raises:
            Exception: The headers cannot be decoded; the core rejects this delivery alone.
        """

    @abstractmethod
    def attempt(self, index: int) -> int | None:
        """Return 1 for a first delivery, as far as the broker counts; ``None`` if it does not."""

    @abstractmethod
    def position(self, index: int) -> str | None:
        """Return where the message lies in its log; ``None`` if there is no log."""

    @abstractmethod
    def native(self, index: int) -> object:
        """Return the client library's own object."""

    @abstractmethod
    def leases(self) -> Sequence[LeaseRange]:
        """Return the leases, ascending, together covering every index.

        To be read anew each time: when a part is extended or lost, it gets a lease of its own.
        """

    def lease(self, index: int) -> Lease:
        """Return the lease of delivery *index*."""
        for first, length, lease in self.leases():
            if first <= index < first + length:
                return lease
        raise IndexError(index)


class VerdictKind(Enum):
    """What is to become of deliveries."""

    ACK = "ack"
    """Done: never again."""
    NACK = "nack"
    """Failed, try again after ``delay_s``: counts as an attempt."""
    RELEASE = "release"
    """Not handled, give back: counts as an attempt only where the broker cannot tell."""
    REJECT = "reject"
    """Cannot be handled: dead-letter it, or drop it if the subscription has no dead letter."""
    EXTEND = "extend"
    """Still at work: renew the lease for ``delay_s`` from now."""


class Verdict:
    """One decision about a range of one batch; never straddles two leases.

    ACK, RELEASE and EXTEND may cover many; NACK and REJECT cover one and carry ``incoming``, so
    that they can be answered by publishing the message elsewhere.
    """

    __slots__ = ("count", "delay_s", "first", "incoming", "kind", "reason", "ticket")

    def __init__(  # one per column of a decision
        self,
        ticket: object,
        first: int,
        count: int,
        kind: VerdictKind,
        delay_s: float = 0.0,
        reason: str = "",
        incoming: Incoming | None = None,
    ) -> None:
        self.ticket = ticket
        self.first = first
        self.count = count
        self.kind = kind
        self.delay_s = delay_s
        self.reason = reason
        self.incoming = incoming

    @override
    def __repr__(self) -> str:
        return f"<{self.kind.value} {self.first}+{self.count}>"


class Flow(NamedTuple):
    """How much a receiver may hold.

    Attributes:
        max_batch: Most deliveries one ``take`` returns.
        max_unsettled: Most deliveries taken or buffered, and not settled.
        max_buffered_bytes: Most bytes buffered and not taken; ``None`` is without limit.
    """

    max_batch: int = 500
    max_unsettled: int = 1000
    max_buffered_bytes: int | None = None
