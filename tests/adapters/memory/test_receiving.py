from __future__ import annotations

from collections.abc import Sequence

import pytest

from unibus.spi import (
    Exact,
    Flow,
    Incoming,
    Lease,
    Link,
    ManualClock,
    NotFoundError,
    Outcome,
    OutcomeKind,
    Outgoing,
    Queue,
    Subscription,
    Topic,
    Verdict,
    VerdictKind,
)
from unibus_memory.broker import MemoryBroker
from unibus_memory.machine.shared import Held
from unibus_memory.profiles import PROFILES
from unibus_memory.receiver import MemoryReceiver
from unibus_memory.sender import MemorySender

QUEUE = Queue("jobs", lease_s=30)


class Feed:
    """A source of prepared batches that remembers their outcomes."""

    def __init__(self, *batches: list[bytes | None]) -> None:
        self.batches = [Outgoing(bodies) for bodies in batches]
        self.outcomes: list[OutcomeKind] = []

    def pull(self) -> Outgoing | None:
        return self.batches.pop(0) if self.batches else None

    def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
        assert first + count <= len(batch)
        self.outcomes += [outcome.kind] * count

    def state(self, state: Link, cause: Exception | None) -> None:
        raise AssertionError(state, cause)


class Log:
    """Events that are only remembered."""

    def __init__(self) -> None:
        self.readies = 0
        self.outcomes: list[tuple[int, int, OutcomeKind]] = []
        self.lost_leases: list[Lease] = []
        self.links: list[Link] = []

    def ready(self) -> None:
        self.readies += 1

    def verdicts(self) -> Sequence[Verdict]:
        return ()

    def settled(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
        self.outcomes.append((first, count, outcome.kind))

    def revoking(self, leases: Sequence[Lease], budget_s: float) -> None:
        raise AssertionError(leases, budget_s)

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
        self.broker.declare(QUEUE)

    def publish(self, *bodies: bytes, to: Topic | Subscription = QUEUE.topic) -> list[OutcomeKind]:
        feed = Feed(list(bodies))
        sender = MemorySender(self.broker, to, feed, reports_unroutable=True)
        sender.offer()
        sender.push()
        return feed.outcomes

    def consumer(self, flow: Flow = Flow()) -> tuple[MemoryReceiver, Log]:  # noqa: B008  # a value
        log = Log()
        return MemoryReceiver(self.broker, QUEUE.subscription, flow, log, self.promises), log


def _settle(
    receiver: MemoryReceiver, batch: Incoming, kind: VerdictKind, delay_s: float = 0
) -> None:
    receiver.settle([Verdict(batch.ticket, 0, len(batch), kind, delay_s)])


def _take(receiver: MemoryReceiver) -> Incoming:
    batch = receiver.take()
    assert batch is not None
    return batch


def test_what_is_acked_never_comes_again() -> None:
    bench = Bench()
    receiver, log = bench.consumer()
    bench.publish(b"a", b"b")
    _settle(receiver, _take(receiver), VerdictKind.ACK)
    receiver.close(1)

    assert log.outcomes == [(0, 2, OutcomeKind.SETTLED)]
    assert bench.broker.waiting("jobs") == 0


def test_a_waiting_consumer_is_told_once_a_burst() -> None:
    bench = Bench()
    receiver, log = bench.consumer()
    assert receiver.take() is None
    bench.publish(b"a")
    bench.publish(b"b")

    assert log.readies == 1


def test_a_nack_counts_and_a_release_does_not() -> None:
    bench = Bench()
    receiver, _ = bench.consumer()
    bench.publish(b"a")
    _settle(receiver, _take(receiver), VerdictKind.RELEASE)
    released = _take(receiver)
    assert released.attempt(0) == 1
    _settle(receiver, released, VerdictKind.NACK)

    assert _take(receiver).attempt(0) == 2


def test_a_delayed_nack_wakes_the_consumer_when_it_is_due() -> None:
    bench = Bench()
    receiver, log = bench.consumer()
    bench.publish(b"a")
    _settle(receiver, _take(receiver), VerdictKind.NACK, delay_s=5)
    assert receiver.take() is None
    readies = log.readies
    bench.clock.advance(4.9)
    assert log.readies == readies
    bench.clock.advance(0.2)

    assert log.readies == readies + 1
    assert _take(receiver).attempt(0) == 2


def test_a_lease_that_runs_out_gives_the_message_to_another() -> None:
    bench = Bench()
    slow, log = bench.consumer()
    other, _ = bench.consumer()
    bench.publish(b"a")
    held = _take(slow)
    bench.clock.advance(31)
    taken = _take(other)
    _settle(slow, held, VerdictKind.ACK)

    assert log.outcomes == [(0, 1, OutcomeKind.LEASE_LOST)]
    assert log.lost_leases == [held.lease(0)]
    _settle(other, taken, VerdictKind.NACK)
    assert _take(other).attempt(0) == 3


def test_an_extended_lease_holds() -> None:
    bench = Bench()
    receiver, log = bench.consumer()
    bench.publish(b"a")
    batch = _take(receiver)
    bench.clock.advance(29)
    _settle(receiver, batch, VerdictKind.EXTEND, delay_s=30)
    bench.clock.advance(29)
    _settle(receiver, batch, VerdictKind.ACK)

    assert log.outcomes == [(0, 1, OutcomeKind.SETTLED)]


def test_closing_gives_back_in_order_and_uncounted() -> None:
    bench = Bench()
    first, _ = bench.consumer()
    bench.publish(b"a", b"b", b"c")
    _take(first)
    first.close(1)
    second, _ = bench.consumer()
    batch = _take(second)

    assert batch.bodies() == [b"a", b"b", b"c"]
    assert batch.attempt(0) == 1


def test_a_consumer_never_holds_more_than_its_flow() -> None:
    bench = Bench()
    receiver, _ = bench.consumer(Flow(max_batch=2, max_unsettled=3))
    bench.publish(*(b"x" for _ in range(10)))

    assert [len(_take(receiver)), len(_take(receiver))] == [2, 1]
    assert receiver.take() is None


def test_an_unroutable_message_is_rejected() -> None:
    bench = Bench()
    topic = Topic("nobody")
    bench.broker.declare(topic)

    assert bench.publish(b"a", to=topic) == [OutcomeKind.REJECTED]


def test_only_the_messages_that_nobody_wants_are_unroutable() -> None:
    bench = Bench()
    topic = Topic("mixed")
    bench.broker.declare(topic)
    bench.broker.declare(Subscription("some", topic=topic, filter=Exact("yes")))
    batch = Outgoing([b"1", b"2", b"3", b"4"])
    batch.routing_keys = ["yes", "no", None, "yes"]
    feed = Feed()
    feed.batches.append(batch)
    sender = MemorySender(bench.broker, topic, feed, reports_unroutable=True)
    sender.offer()
    sender.push()

    yes, no = OutcomeKind.ACCEPTED, OutcomeKind.REJECTED
    assert feed.outcomes == [yes, no, no, yes]
    assert bench.broker.waiting("some") == 2


def test_a_missing_topic_rejects_and_a_missing_subscription_refuses() -> None:
    bench = Bench()
    nowhere = Subscription("nowhere", topic=Topic("nothing"))

    assert bench.publish(b"a", to=nowhere.topic) == [OutcomeKind.REJECTED]
    with pytest.raises(NotFoundError, match="'nowhere' does not exist"):
        MemoryReceiver(bench.broker, nowhere, Flow(), Log(), bench.promises)


def test_a_broker_that_counts_releases_counts_them() -> None:
    bench = Bench("sqs")
    receiver, _ = bench.consumer()
    bench.publish(b"a")
    _settle(receiver, _take(receiver), VerdictKind.RELEASE)

    assert _take(receiver).attempt(0) == 2


def test_a_broker_that_counts_nothing_says_so() -> None:
    bench = Bench("rabbitmq-classic")
    receiver, _ = bench.consumer()
    bench.publish(b"a")

    assert _take(receiver).attempt(0) is None


@pytest.mark.parametrize("queue", [QUEUE, Queue("ordered", ordering="key")])
def test_a_restart_ends_every_lease_and_loses_no_message(queue: Queue) -> None:
    bench = Bench()
    bench.broker.declare(queue)
    log = Log()
    receiver = MemoryReceiver(bench.broker, queue.subscription, Flow(2), log, bench.promises)
    bench.publish(b"a", b"b", b"c", to=queue.topic)
    held = _take(receiver)
    bench.broker.restart()
    _settle(receiver, held, VerdictKind.ACK)
    receiver.close(1)
    again = MemoryReceiver(bench.broker, queue.subscription, Flow(), Log(), bench.promises)
    batch = _take(again)

    assert log.links == [Link.DOWN, Link.UP]
    assert log.lost_leases == [held.lease(0)]
    assert log.outcomes == [(0, 2, OutcomeKind.LEASE_LOST)]
    # Messages without a key have no order on a topic that is ordered by key.
    attempts = {body: batch.attempt(index) for index, body in enumerate(batch.bodies())}
    assert attempts == {b"a": 2, b"b": 2, b"c": 1}


def test_leases_ended_by_the_broker_are_reported_to_whoever_held_them_alone() -> None:
    bench = Bench()
    (one, one_log), (two, two_log) = bench.consumer(Flow(1)), bench.consumer(Flow(1))
    bench.publish(b"a", b"b")
    held, settled = _take(one), _take(two)
    _settle(two, settled, VerdictKind.ACK)
    bench.broker.expire_leases("jobs")

    assert one_log.lost_leases == [held.lease(0)]
    assert two_log.lost_leases == []
    assert _take(two).bodies() == [b"a"]


def test_a_batch_taken_while_the_consumer_is_closed_goes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    receiver, _ = bench.consumer()
    bench.publish(b"a")
    take = bench.broker.take

    def take_and_close(name: str, limit: int, lease_s: float | None) -> Held | None:
        held = take(name, limit, lease_s)
        receiver.close(1)
        return held

    monkeypatch.setattr(bench.broker, "take", take_and_close)

    assert receiver.take() is None
    assert bench.broker.waiting("jobs") == 1
