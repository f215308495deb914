"""The whole stack, as the resolver asks for it, over bare memory profiles."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import pytest
from doubles import FakeCore, taken, verdict

from unibus.binding import resolve
from unibus.clock import ManualClock
from unibus.emulation.provenance import attempts, dead_letter
from unibus.emulation.relay import Relay
from unibus.emulation.stack import build
from unibus.message import Message
from unibus.outcome import Outcome
from unibus.specs import OrderingName, Pattern, Queue, Subscription, Topic
from unibus.spi import Adapter, Flow, Incoming, Link, Outgoing, Receiver, Spec, VerdictKind
from unibus_memory import MemoryAdapter

ACK, NACK, REJECT = VerdictKind.ACK, VerdictKind.NACK, VerdictKind.REJECT
WORK_PROFILES = ["memory", "rabbitmq", "rabbitmq-classic", "sqs", "sqs-fifo"]


class _Outbox:
    """Sends one message at a time to one target, and is a relay by that."""

    def __init__(self, adapter: Adapter, spec: Topic | Subscription) -> None:
        self._waiting: deque[tuple[Outgoing, Callable[[Outcome], None]]] = deque()
        self._out: Callable[[Outcome], None] | None = None
        self._sender = adapter.open_sender(
            resolve(spec, adapter.profiles), "all", self, timeout_s=1
        )

    def hand_over(self, message: Message, done: Callable[[Outcome], None]) -> None:
        outgoing = Outgoing([message.body])
        outgoing.keys = [message.key]
        outgoing.routing_keys = [message.routing_key]
        outgoing.headers = [message.headers]
        outgoing.ids = [message.id]
        outgoing.timings = [(message.delay_s, message.ttl_s, message.priority)]
        self._waiting.append((outgoing, done))
        self._sender.offer()

    def pull(self) -> Outgoing | None:
        if not self._waiting:
            return None
        outgoing, self._out = self._waiting.popleft()
        return outgoing

    def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
        assert (len(batch), first, count) == (1, 0, 1)
        assert self._out is not None
        self._out(outcome)

    def state(self, state: Link, cause: Exception | None) -> None:
        raise AssertionError(state, cause)


class Rig:
    def __init__(self, profile: str, subscription: Subscription) -> None:
        self.clock = ManualClock()
        self.core = FakeCore()
        self.opened: list[Spec] = []
        self.outcomes: list[Outcome] = []
        self.adapter = MemoryAdapter.open(
            f"memory://?profile={profile}", {}, clock=self.clock, timeout_s=1
        )
        self.binding = resolve(subscription, self.adapter.profiles)
        self.declare(subscription.topic, subscription, *self.binding.extra_specs)
        self.receiver = self.receive(subscription)
        self.topic = _Outbox(self.adapter, subscription.topic)

    def declare(self, *specs: Spec) -> None:
        for change in self.adapter.plan(specs, timeout_s=1):
            self.adapter.apply(change, timeout_s=1)

    def receive(self, subscription: Subscription) -> Receiver:
        binding = resolve(subscription, self.adapter.profiles)
        return build(
            self.adapter,
            binding,
            Flow(),
            self.core,
            relays=self._relay,
            clock=self.clock,
            timeout_s=1,
        )

    def _relay(self, spec: Queue | Subscription) -> Relay:
        self.opened.append(spec)
        return _Outbox(self.adapter, spec.topic if isinstance(spec, Queue) else spec)

    def publish(self, *messages: Message) -> None:
        for message in messages:
            self.topic.hand_over(message, self.outcomes.append)

    def settle(self, kind: VerdictKind, batch: Incoming, index: int, delay_s: float = 0) -> None:
        self.receiver.settle([verdict(kind, batch, index, delay_s)])

    def attempt(self, batch: Incoming) -> int | None:
        return attempts(batch, 0, batch.message(0), is_counted=True)

    @property
    def backlog(self) -> int:
        return self.adapter.backlog(self.binding, timeout_s=1)


def _subscription(ordering: OrderingName = "none") -> Subscription:
    topic = Topic("t", ordering=ordering)
    return Subscription("s", topic=topic, max_attempts=2, dead_letter="d")


def _bodies(batch: Incoming | None) -> Sequence[bytes | None]:
    return [] if batch is None else list(batch.bodies())


def _dead(rig: Rig) -> Incoming:
    return taken(rig.receive(Queue("d").subscription))


@pytest.mark.parametrize("profile", ["memory", "rabbitmq", "rabbitmq-classic", "sqs"])
def test_a_delayed_nack_comes_again_when_it_is_time_with_its_count(profile: str) -> None:
    rig = Rig(profile, _subscription())
    rig.publish(Message(b"m", id="1"))
    first = taken(rig.receiver)
    assert rig.attempt(first) == 1

    rig.settle(NACK, first, 0, delay_s=8)
    rig.clock.advance(7.9)
    assert rig.receiver.take() is None
    rig.clock.advance(0.2)

    again = taken(rig.receiver)
    assert (rig.attempt(again), again.message(0).id) == (2, "1")


@pytest.mark.parametrize("profile", WORK_PROFILES)
def test_the_last_nack_ends_in_the_dead_letter_queue_and_nowhere_else(profile: str) -> None:
    ordering: OrderingName = "key" if profile == "sqs-fifo" else "none"
    rig = Rig(profile, _subscription(ordering))
    rig.publish(Message(b"m", "k", id="1"))

    rig.settle(NACK, taken(rig.receiver), 0)
    rig.settle(NACK, taken(rig.receiver), 0)

    death = dead_letter(_dead(rig).message(0).headers)
    assert death is not None
    assert (death.reason, death.attempts, death.subscription) == ("max attempts", 2, "s")
    assert rig.receiver.take() is None
    assert rig.backlog == 0


@pytest.mark.parametrize("profile", ["memory", "rabbitmq", "rabbitmq-classic", "sqs-fifo"])
def test_a_poison_message_lets_its_key_go_on_in_order_once_it_is_dead(profile: str) -> None:
    rig = Rig(profile, _subscription("key"))
    rig.publish(*(Message(b"%d" % number, "k") for number in range(3)))
    handled: list[bytes | None] = []
    while (batch := rig.receiver.take()) is not None:
        for index, body in enumerate(batch.bodies()):
            if batch.lease(index).lost is not None:
                continue
            kind = NACK if body == b"0" else ACK
            if kind is ACK:
                handled.append(body)
            rig.settle(kind, batch, index)

    assert handled == [b"1", b"2"]
    assert _bodies(_dead(rig)) == [b"0"]


def test_while_the_dead_letter_queue_is_missing_the_source_is_kept() -> None:
    rig = Rig("rabbitmq", _subscription())
    rig.publish(Message(b"m"))
    rig.adapter.delete(Queue("d").subscription, timeout_s=1)
    rig.adapter.delete(Queue("d").topic, timeout_s=1)
    rig.settle(REJECT, taken(rig.receiver), 0)
    assert rig.core.settlements == []

    rig.declare(Queue("d"))
    rig.clock.advance(60)

    assert _bodies(_dead(rig)) == [b"m"]
    assert len(rig.core.settlements) == 1


def test_what_a_pattern_does_not_match_is_not_seen_and_does_not_stay() -> None:
    subscription = Subscription("s", topic=Topic("t"), filter=Pattern("a.#"))
    rig = Rig("sqs", subscription)
    rig.publish(Message(b"1", routing_key="a.b"), Message(b"2", routing_key="b"))

    assert _bodies(rig.receiver.take()) == [b"1"]
    assert rig.receiver.take() is None
    assert rig.backlog == 0


def test_relays_are_opened_for_the_layers_that_publish_and_for_no_other() -> None:
    with_both = _subscription()
    ordered = Subscription("s", topic=Topic("t", ordering="key"))

    assert Rig("rabbitmq", with_both).opened == [Queue("d"), with_both]
    assert Rig("rabbitmq", ordered).opened == []


def test_nothing_stands_round_the_receiver_of_a_broker_that_has_everything() -> None:
    rig = Rig("memory", Subscription("s", topic=Topic("t")))

    assert type(rig.receiver).__module__.startswith("unibus_memory.")
