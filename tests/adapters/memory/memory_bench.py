"""A memory broker without the core: sources and events that only remember."""

from __future__ import annotations

from collections.abc import Sequence

from unibus.spi import (
    Flow,
    Incoming,
    Lease,
    Link,
    ManualClock,
    Outcome,
    OutcomeKind,
    Outgoing,
    Queue,
    Receiver,
    Subscription,
    Topic,
    Verdict,
    VerdictKind,
)
from unibus_memory.broker import MemoryBroker
from unibus_memory.profiles import PROFILES
from unibus_memory.seeking import MemoryLogReceiver
from unibus_memory.sender import MemorySender
from unibus_memory.topology import halves

QUEUE = Queue("jobs", lease_s=30)


class Feed:
    """A source of prepared batches that remembers their outcomes."""

    def __init__(self, *batches: Outgoing) -> None:
        self.batches = list(batches)
        self.outcomes: list[OutcomeKind] = []
        self.links: list[Link] = []

    def pull(self) -> Outgoing | None:
        return self.batches.pop(0) if self.batches else None

    def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
        assert first + count <= len(batch)
        self.outcomes += [outcome.kind] * count

    def state(self, state: Link, cause: Exception | None) -> None:
        assert (cause is None) == (state is Link.UP)
        self.links.append(state)


class Log:
    """Events that are only remembered."""

    def __init__(self) -> None:
        self.readies = 0
        self.outcomes: list[tuple[int, int, OutcomeKind]] = []
        self.revoked: list[tuple[str, float]] = []
        self.lost_leases: list[Lease] = []
        self.links: list[Link] = []

    def ready(self) -> None:
        self.readies += 1

    def verdicts(self) -> Sequence[Verdict]:
        return ()

    def settled(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
        self.outcomes.append((first, count, outcome.kind))

    def revoking(self, leases: Sequence[Lease], budget_s: float) -> None:
        assert all(lease.stopping for lease in leases)
        self.revoked += [(lease.scope, budget_s) for lease in leases]

    def lost(self, leases: Sequence[Lease], cause: Exception) -> None:
        self.lost_leases += leases

    def state(self, state: Link, cause: Exception | None) -> None:
        assert (cause is None) == (state is Link.UP)
        self.links.append(state)


class Bench:
    """A broker with one queue, and consumers of it."""

    def __init__(self, profile: str = "memory") -> None:
        self.promises = PROFILES[profile].capabilities
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.clock)
        self.profile = profile
        self.declare(QUEUE)

    def declare(self, *specs: Topic | Subscription | Queue) -> None:
        for half in halves(specs, self.profile):
            self.broker.declare(half, self.profile)

    def publish(self, *bodies: bytes, to: Topic | Subscription = QUEUE.topic) -> list[OutcomeKind]:
        return self.send(Outgoing(list(bodies)), to)

    def send(self, batch: Outgoing, to: Topic | Subscription = QUEUE.topic) -> list[OutcomeKind]:
        feed = Feed(batch)
        sender = MemorySender(self.broker, to, feed, reports_unroutable=True)
        sender.offer()
        sender.push()
        return feed.outcomes

    def consumer(self, flow: Flow = Flow()) -> tuple[MemoryLogReceiver, Log]:  # noqa: B008  # a value
        log = Log()
        return self.receiver(QUEUE.subscription, flow, log), log

    def receiver(self, spec: Subscription, flow: Flow, log: Log) -> MemoryLogReceiver:
        receiver = MemoryLogReceiver(self.broker, spec, flow, log, self.promises)
        receiver.open(1)
        return receiver


def settle(
    receiver: Receiver, batch: Incoming, kind: VerdictKind, delay_s: float = 0, reason: str = ""
) -> None:
    receiver.settle([Verdict(batch.ticket, 0, len(batch), kind, delay_s, reason)])


def take(receiver: Receiver) -> Incoming:
    batch = receiver.take()
    assert batch is not None
    return batch
