"""A receiver, a core and a relay that do what a test tells them, and remember what was done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from typing_extensions import override

from unibus.binding import resolve
from unibus.capabilities import (
    Attempts,
    Capabilities,
    DelayLimits,
    LeaseLimits,
    Ordering,
    Profile,
    native,
)
from unibus.clock import ManualClock
from unibus.emulation.layer import Layer, Setting
from unibus.message import Message
from unibus.outcome import SETTLED, Outcome
from unibus.retry import Backoff
from unibus.specs import Subscription
from unibus.spi import (
    Binding,
    Events,
    Flow,
    Incoming,
    Lease,
    LeaseRange,
    Link,
    Receiver,
    Verdict,
    VerdictKind,
)

WORK = Capabilities(
    ordering=native(Ordering.KEY),
    on_nack=native("overtakes"),
    nack=native(value=True),
    release=native("uncounted"),
    attempts=native(Attempts.EXACT),
    delay=native(DelayLimits(max_s=3600)),
    lease=native(LeaseLimits()),
)
"""What a work queue natively has; the delay of a nack and the filters are emulated."""

LOG = Capabilities(ordering=native(Ordering.TOPIC))
"""What a log natively has: nothing is taken back, nothing is counted."""

Place = tuple[str, int]
Done = tuple[VerdictKind, str, int, int]


class FakeBatch(Incoming):
    """Messages under one lease, unless the test cuts it."""

    __slots__ = ("attempts", "cuts", "messages")

    def __init__(
        self, name: str, messages: Sequence[Message | Exception], attempts: Sequence[int | None]
    ) -> None:
        super().__init__(name)
        self.messages = messages
        self.attempts = attempts
        self.cuts = [LeaseRange(0, len(messages), Lease(name))]

    @override
    def __len__(self) -> int:
        return len(self.messages)

    @override
    def bodies(self) -> Sequence[bytes | None]:
        return [each.body if isinstance(each, Message) else b"?" for each in self.messages]

    @override
    def message(self, index: int) -> Message:
        message = self.messages[index]
        if isinstance(message, Exception):
            raise message
        return message

    @override
    def attempt(self, index: int) -> int | None:
        return self.attempts[index]

    @override
    def position(self, index: int) -> str | None:
        return f"{self.ticket}:{index}"

    @override
    def native(self, index: int) -> object:
        return self.messages[index]

    @override
    def leases(self) -> Sequence[LeaseRange]:
        return self.cuts


class FakeReceiver(Receiver):
    """Hands out the batches it is given; answers each settlement at once, unless told not to."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.waiting: deque[FakeBatch] = deque()
        self.done: list[Done] = []
        self.verdicts: list[Verdict] = []
        self.barriers = 0
        self.answer: Outcome | None = SETTLED
        self.is_closed = False

    def bring(
        self,
        name: str,
        *messages: Message | Exception,
        attempts: Sequence[int | None] | None = None,
    ) -> FakeBatch:
        batch = FakeBatch(name, messages, attempts or [1] * len(messages))
        self.waiting.append(batch)
        return batch

    @override
    def take(self) -> Incoming | None:
        return self.waiting.popleft() if self.waiting and not self.is_closed else None

    @override
    def settle(self, verdicts: Sequence[Verdict]) -> None:
        for each in verdicts:
            self.done.append((each.kind, str(each.ticket), each.first, each.count))
            self.verdicts.append(each)
            if self.answer is not None and each.kind is not VerdictKind.EXTEND:
                self.events.settled(each.ticket, each.first, each.count, self.answer)

    @override
    def barrier(self) -> None:
        self.barriers += 1

    @override
    def pause(self, give_back: bool = False) -> None:
        pass

    @override
    def resume(self) -> None:
        pass

    @override
    def close(self, timeout_s: float) -> None:
        self.is_closed = True

    def settled_places(self, kind: VerdictKind = VerdictKind.ACK) -> list[Place]:
        """Every index that got a verdict of *kind*, in the order they came."""
        return [
            (name, first + each)
            for what, name, first, count in self.done
            if what is kind
            for each in range(count)
        ]


class FakeCore(Events):
    """Remembers what a layer reports."""

    def __init__(self) -> None:
        self.readies = 0
        self.settlements: list[tuple[object, int, int, Outcome]] = []
        self.lost_leases: list[Lease] = []
        self.pending: list[Verdict] = []

    @override
    def ready(self) -> None:
        self.readies += 1

    @override
    def verdicts(self) -> Sequence[Verdict]:
        pending, self.pending = self.pending, []
        return pending

    @override
    def settled(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
        self.settlements.append((ticket, first, count, outcome))

    @override
    def revoking(self, leases: Sequence[Lease], budget_s: float) -> None:
        pass

    @override
    def lost(self, leases: Sequence[Lease], cause: Exception) -> None:
        self.lost_leases += leases

    @override
    def state(self, state: Link, cause: Exception | None) -> None:
        pass

    def outcomes(self, batch: Incoming) -> dict[int, Outcome]:
        """The last outcome of each index of *batch*."""
        return {
            first + each: outcome
            for ticket, first, count, outcome in self.settlements
            if ticket is batch.ticket
            for each in range(count)
        }


class FakeRelay:
    """Keeps copies until the test says what becomes of them; or answers all with *answer*."""

    def __init__(self, answer: Outcome | None = None) -> None:
        self.answer = answer
        self.copies: list[Message] = []
        self.waiting: deque[Callable[[Outcome], None]] = deque()

    def hand_over(self, message: Message, done: Callable[[Outcome], None]) -> None:
        self.copies.append(message)
        if self.answer is None:
            self.waiting.append(done)
        else:
            done(self.answer)

    def report(self, outcome: Outcome) -> None:
        """Say what became of the oldest copy."""
        self.waiting.popleft()(outcome)


def bound(subscription: Subscription, have: Capabilities) -> Binding:
    """Resolve *subscription* against one profile that has *have*."""
    profile = Profile(name="bare", capabilities=have, mode="any")
    return resolve(subscription, [profile])


def setting_of(
    subscription: Subscription, have: Capabilities, clock: ManualClock, max_batch: int = 500
) -> Setting:
    """Return what a layer works with, without chance in it."""
    return Setting(
        binding=bound(subscription, have),
        flow=Flow(max_batch=max_batch),
        clock=clock,
        backoff=Backoff(initial_s=1, factor=2, max_s=8, jitter=0),
    )


def around(layer: Layer) -> FakeReceiver:
    """Put *layer* round a receiver, and return that."""
    receiver = FakeReceiver(layer)
    layer.attach(receiver)
    return receiver


def verdict(kind: VerdictKind, batch: Incoming, index: int, delay_s: float = 0.0) -> Verdict:
    """Return a verdict about one delivery, as the core makes it."""
    return Verdict(batch.ticket, index, 1, kind, delay_s, incoming=batch)


def keyed(*keys: str) -> Iterable[Message]:
    """Yield one message for each of *keys*, with a body that tells which it is."""
    return (Message(f"{key}{number}".encode(), key) for number, key in enumerate(keys))


def taken(layer: Receiver) -> Incoming:
    """Take a batch, which has to be there."""
    batch = layer.take()
    assert batch is not None
    return batch
