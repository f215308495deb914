"""An adapter of our own for tests of the engine: senders that do as they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from typing_extensions import override

from unibus.spi import (
    ACCEPTED,
    AcksLevel,
    Adapter,
    AdapterError,
    Backlog,
    BatchLimits,
    Binding,
    BrokerIdentity,
    Capabilities,
    Change,
    Clock,
    DelayLimits,
    Events,
    Flow,
    HeaderLimits,
    Ordering,
    Outcome,
    Outgoing,
    Profile,
    Receiver,
    Sender,
    Source,
    Spec,
    Subscription,
    SupportsBacklog,
    SupportsPurge,
    Topic,
    UnibusError,
    native,
)

PROFILE = Profile(
    name="plain",
    mode="any",
    capabilities=Capabilities(
        ordering=native(Ordering.KEY),
        acks=native(frozenset({"all"})),
        at_least_once=native(value=True),
        backlog=native(Backlog.EXACT),
        delay=native(DelayLimits(max_s=60)),
        ttl=native(value=True),
        priority=native(10),
        headers=native(HeaderLimits(max_count=3, max_bytes=100, types=frozenset({"str", "int"}))),
        empty_body=native(value=True),
        max_body_bytes=native(1000),
        max_batch=native(BatchLimits(max_messages=5, max_bytes=2000)),
        unmanaged=native(value=True),
    ),
)


class SlowSender(Sender):
    """Pulls and answers when the test says so."""

    def __init__(self, source: Source, closing: Outcome | None = None) -> None:
        self.source = source
        self.pulled: list[Outgoing] = []
        self.offers = 0
        self.pushes = 0
        self.is_closed = False
        self._closing = closing

    @override
    def offer(self) -> None:
        self.offers += 1

    @override
    def push(self) -> None:
        self.pushes += 1

    def pull(self) -> Outgoing | None:
        batch = self.source.pull()
        if batch is not None:
            self.pulled.append(batch)
        return batch

    def answer(self, outcome: Outcome = ACCEPTED) -> None:
        """Answer the oldest batch that was pulled."""
        batch = self.pulled.pop(0)
        self.source.completed(batch, 0, len(batch), outcome)

    @override
    def close(self, timeout_s: float) -> None:
        self.is_closed = True
        while self._closing is not None and self.pulled:
            self.answer(self._closing)


class QuickSender(SlowSender):
    """Pulls and answers at once, inside ``offer``."""

    def __init__(self, source: Source, outcome: Outcome = ACCEPTED) -> None:
        super().__init__(source)
        self.outcome = outcome
        self.sent: list[Outgoing] = []

    @override
    def offer(self) -> None:
        super().offer()
        while self.pull() is not None:
            self.sent.append(self.pulled[0])
            self.answer(self.outcome)


@dataclass(slots=True, eq=False)
class FakeAdapter(Adapter, SupportsBacklog, SupportsPurge):
    """Opens senders of the kind it is given, and says what the test tells it."""

    sender: type[SlowSender] = QuickSender
    existing: list[Spec] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    applied: list[Change] = field(default_factory=list)
    senders: list[SlowSender] = field(default_factory=list)
    asked: list[Sequence[Spec]] = field(default_factory=list)
    profile: Profile = PROFILE
    is_closed: bool = False
    failure: Exception | None = None

    @classmethod
    @override
    def open(
        cls, url: str, options: Mapping[str, object], *, clock: Clock, timeout_s: float
    ) -> Self:
        return cls()

    @property
    @override
    def profiles(self) -> Sequence[Profile]:
        return (self.profile,)

    @property
    @override
    def identity(self) -> BrokerIdentity:
        return BrokerIdentity(system="fake", version="1", client="none", address="nowhere")

    @property
    @override
    def native(self) -> object:
        return self

    @override
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        self._fail()
        sender = self.sender(source)
        self.senders.append(sender)
        return sender

    @override
    def open_receiver(
        self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
    ) -> Receiver:
        raise NotImplementedError

    @override
    def inspect(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Spec]:
        self._fail()
        names = {(type(spec), spec.name) for spec in specs}
        return [spec for spec in self.existing if (type(spec), spec.name) in names]

    @override
    def plan(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Change]:
        self._fail()
        self.asked.append(specs)
        return self.changes

    @override
    def apply(self, change: Change, *, timeout_s: float) -> None:
        self.applied.append(change)

    @override
    def backlog(self, binding: Binding, *, timeout_s: float) -> int:
        return 7

    @override
    def purge(self, binding: Binding, *, timeout_s: float) -> None:
        self._fail()

    @override
    def translate(self, error: Exception) -> UnibusError:
        return AdapterError(f"fake: {error}")

    @override
    def close(self, timeout_s: float) -> None:
        self.is_closed = True

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


def binding(
    spec: Topic | Subscription | None = None, capabilities: Capabilities | None = None
) -> Binding:
    capabilities = capabilities or PROFILE.capabilities
    return Binding(
        spec=spec or Topic("orders"),
        profile=Profile(name="plain", capabilities=capabilities),
        capabilities=capabilities,
    )
