"""A small real adapter that hands out what a test brings, and remembers what was settled."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Self

from typing_extensions import override

from unibus import spi
from unibus.aio.consumer import Consumer as AioConsumer
from unibus.consumer import Consumer
from unibus.emulation.relay import Relay
from unibus.engine.opening import DeliveryMode
from unibus.retry import Backoff

CAPABILITIES = spi.Capabilities(
    at_least_once=spi.native(value=True),
    at_most_once=spi.native(value=True),
    ack_confirmed=spi.native(value=True),
    nack=spi.native(value=True),
    nack_delay_s=spi.native(60.0),
    release=spi.native("uncounted"),
    attempts=spi.native(spi.Attempts.EXACT),
    lease=spi.native(spi.LeaseLimits(max_s=600.0, default_s=30.0, extendable=True)),
    replay=spi.native(spi.Replay.EARLIEST),
)
UNCONFIRMED = replace(CAPABILITIES, ack_confirmed=spi.none(value=False))
SUBSCRIPTION = spi.Queue("work").subscription


class Ticket:
    """Names a batch."""


class FakeIncoming(spi.Incoming):
    __slots__ = ("cuts", "messages")

    def __init__(self, messages: Sequence[spi.Message | Exception], lease: spi.Lease) -> None:
        super().__init__(Ticket())
        self.messages = messages
        self.cuts = [spi.LeaseRange(0, len(messages), lease)]

    @override
    def __len__(self) -> int:
        return len(self.messages)

    @override
    def bodies(self) -> Sequence[bytes | None]:
        return [each.body if isinstance(each, spi.Message) else b"?" for each in self.messages]

    @override
    def message(self, index: int) -> spi.Message:
        message = self.messages[index]
        if isinstance(message, Exception):
            raise message
        return message

    @override
    def attempt(self, index: int) -> int | None:
        return 1

    @override
    def position(self, index: int) -> str | None:
        return str(index)

    @override
    def native(self, index: int) -> object:
        return self.messages[index]

    @override
    def leases(self) -> Sequence[spi.LeaseRange]:
        return self.cuts


class FakeReceiver(spi.Receiver, spi.SupportsSeek):
    """Answers settlements at once, unless ``answers`` is off."""

    def __init__(self, events: spi.Events, flow: spi.Flow) -> None:
        self.events = events
        self.flow = flow
        self.waiting: deque[FakeIncoming] = deque()
        self.verdicts: list[spi.Verdict] = []
        self.unanswered: list[spi.Verdict] = []
        self.answer: spi.Outcome | None = spi.SETTLED
        self.barriers = 0
        self.answers_barriers = True
        self.barrier_answer = spi.SETTLED
        self.calls: list[str] = []
        self.sought: list[spi.SeekTarget] = []
        self.on_settle: Callable[[], None] | None = None

    def bring(
        self, *bodies: bytes | spi.Message | Exception, deadline: float | None = None
    ) -> FakeIncoming:
        messages = [
            spi.Message(b, id=f"m{i}") if isinstance(b, bytes) else b for i, b in enumerate(bodies)
        ]
        incoming = FakeIncoming(messages, spi.Lease("a lease", deadline))
        self.waiting.append(incoming)
        self.events.ready()
        return incoming

    def settled(self) -> list[tuple[str, int, int]]:
        return [(each.kind.value, each.first, each.count) for each in self.verdicts]

    def lose(self, incoming: FakeIncoming) -> None:
        cause = spi.LeaseLostError("taken away")
        leases = [each.lease for each in incoming.cuts]
        for lease in leases:
            lease.lost = cause
        self.events.lost(leases, cause)

    @override
    def take(self) -> spi.Incoming | None:
        return self.waiting.popleft() if self.waiting else None

    @override
    def settle(self, verdicts: Sequence[spi.Verdict]) -> None:
        for each in verdicts:
            self.verdicts.append(each)
            if self.answer is None:
                self.unanswered.append(each)
            elif each.kind is not spi.VerdictKind.EXTEND:
                if self.answer is spi.SENT:
                    self.unanswered.append(each)
                self.events.settled(each.ticket, each.first, each.count, self.answer)
        if self.on_settle is not None:
            self.on_settle()

    @override
    def barrier(self) -> None:
        self.barriers += 1
        if self.answers_barriers:
            unanswered = self.unanswered
            if self.barrier_answer is spi.SETTLED:
                self.unanswered = []
            for each in unanswered:
                self.events.settled(each.ticket, each.first, each.count, self.barrier_answer)

    @override
    def pause(self, give_back: bool = False) -> None:
        self.calls.append("pause")

    @override
    def resume(self) -> None:
        self.calls.append("resume")

    @override
    def close(self, timeout_s: float) -> None:
        self.calls.append("close")

    @override
    def seek(self, target: spi.SeekTarget, *, timeout_s: float) -> None:
        self.sought.append(target)


class FakeAdapter(spi.Adapter):
    receiver: FakeReceiver

    @classmethod
    @override
    def open(
        cls, url: str, options: Mapping[str, object], *, clock: spi.Clock, timeout_s: float
    ) -> Self:
        return cls()

    @property
    @override
    def profiles(self) -> Sequence[spi.Profile]:
        return ()

    @property
    @override
    def identity(self) -> spi.BrokerIdentity:
        return spi.BrokerIdentity(system="fake", version="1", client="none", address="here")

    @property
    @override
    def native(self) -> object:
        return None

    @override
    def open_sender(
        self, binding: spi.Binding, acks: spi.AcksLevel, source: spi.Source, *, timeout_s: float
    ) -> spi.Sender:
        raise NotImplementedError

    @override
    def open_receiver(
        self, binding: spi.Binding, flow: spi.Flow, events: spi.Events, *, timeout_s: float
    ) -> spi.Receiver:
        self.receiver = FakeReceiver(events, flow)
        return self.receiver

    @override
    def inspect(self, specs: Sequence[spi.Spec], *, timeout_s: float) -> Sequence[spi.Spec]:
        return specs

    @override
    def plan(self, specs: Sequence[spi.Spec], *, timeout_s: float) -> Sequence[spi.Change]:
        return ()

    @override
    def apply(self, change: spi.Change, *, timeout_s: float) -> None:
        raise NotImplementedError

    @override
    def translate(self, error: Exception) -> spi.UnibusError:
        return spi.AdapterError(str(error))

    @override
    def close(self, timeout_s: float) -> None:
        pass


def binding_of(
    capabilities: spi.Capabilities = CAPABILITIES,
    spec: spi.Subscription | spi.Topic = SUBSCRIPTION,
) -> spi.Binding:
    profile = spi.Profile(name="fake", capabilities=capabilities)
    return spi.Binding(spec=spec, profile=profile, capabilities=capabilities)


def make(  # a test names only what it is about
    *,
    delivery: str = "at_least_once",
    capabilities: spi.Capabilities = CAPABILITIES,
    spec: spi.Subscription = SUBSCRIPTION,
    clock: spi.Clock | None = None,
    max_unsettled: int = 1000,
    max_batch: int = 500,
    renew_leases: bool = True,
) -> tuple[Consumer, FakeReceiver]:
    adapter = FakeAdapter()
    consumer = Consumer(
        adapter,
        binding_of(capabilities, spec),
        clock=clock or spi.SystemClock(),
        delivery=delivery,  # type: ignore[arg-type]  # one test names an unknown one
        max_unsettled=max_unsettled,
        max_batch=max_batch,
        renew_leases=renew_leases,
        backoff=Backoff(initial_s=2.0, jitter=0.0),
        timeout_s=5.0,
        relays=_no_relay,
        on_close=lambda _: None,
    )
    return consumer, adapter.receiver


def make_aio(
    *,
    delivery: DeliveryMode = "at_least_once",
    capabilities: spi.Capabilities = CAPABILITIES,
    spec: spi.Subscription = SUBSCRIPTION,
    max_unsettled: int = 1000,
) -> tuple[AioConsumer, FakeAdapter]:
    """The receiver is there once the consumer is open."""
    adapter = FakeAdapter()
    consumer = AioConsumer(
        adapter,
        binding_of(capabilities, spec),
        clock=spi.SystemClock(),
        delivery=delivery,
        max_unsettled=max_unsettled,
        max_batch=500,
        renew_leases=True,
        backoff=Backoff(initial_s=2.0, jitter=0.0),
        timeout_s=5.0,
        relays=_no_relay,
        on_close=lambda _: None,
    )
    return consumer, adapter


def _no_relay(target: object) -> Relay:
    raise AssertionError(f"nobody publishes to {target!r}")
