from __future__ import annotations

import pytest
from memory_bench import QUEUE, Bench, Log, settle, take

from unibus.spi import (
    Exact,
    Flow,
    Link,
    NotFoundError,
    OutcomeKind,
    Outgoing,
    Queue,
    Subscription,
    Topic,
    VerdictKind,
)
from unibus_memory.machine.held import Held
from unibus_memory.takers import Taker


def test_what_is_acked_never_comes_again() -> None:
    bench = Bench()
    receiver, log = bench.consumer()
    bench.publish(b"a", b"b")
    settle(receiver, take(receiver), VerdictKind.ACK)
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
    settle(receiver, take(receiver), VerdictKind.RELEASE)
    released = take(receiver)
    assert released.attempt(0) == 1
    settle(receiver, released, VerdictKind.NACK)

    assert take(receiver).attempt(0) == 2


def test_a_delayed_nack_wakes_the_consumer_when_it_is_due() -> None:
    bench = Bench()
    receiver, log = bench.consumer()
    bench.publish(b"a")
    settle(receiver, take(receiver), VerdictKind.NACK, delay_s=5)
    assert receiver.take() is None
    readies = log.readies
    bench.clock.advance(4.9)
    assert log.readies == readies
    bench.clock.advance(0.2)

    assert log.readies == readies + 1
    assert take(receiver).attempt(0) == 2


def test_a_lease_that_runs_out_gives_the_message_to_another() -> None:
    bench = Bench()
    slow, log = bench.consumer()
    other, _ = bench.consumer()
    bench.publish(b"a")
    held = take(slow)
    bench.clock.advance(31)
    taken = take(other)
    settle(slow, held, VerdictKind.ACK)

    assert log.outcomes == [(0, 1, OutcomeKind.LEASE_LOST)]
    assert log.lost_leases == [held.lease(0)]
    settle(other, taken, VerdictKind.NACK)
    assert take(other).attempt(0) == 3


def test_an_extended_lease_holds() -> None:
    bench = Bench()
    receiver, log = bench.consumer()
    bench.publish(b"a")
    batch = take(receiver)
    bench.clock.advance(29)
    settle(receiver, batch, VerdictKind.EXTEND, delay_s=30)
    bench.clock.advance(29)
    settle(receiver, batch, VerdictKind.ACK)

    assert log.outcomes == [(0, 1, OutcomeKind.SETTLED)]


def test_closing_gives_back_in_order_and_uncounted() -> None:
    bench = Bench()
    first, _ = bench.consumer()
    bench.publish(b"a", b"b", b"c")
    take(first)
    first.close(1)
    second, _ = bench.consumer()
    batch = take(second)

    assert batch.bodies() == [b"a", b"b", b"c"]
    assert batch.attempt(0) == 1


def test_a_consumer_never_holds_more_than_its_flow() -> None:
    bench = Bench()
    receiver, _ = bench.consumer(Flow(max_batch=2, max_unsettled=3))
    bench.publish(*(b"x" for _ in range(10)))

    assert [len(take(receiver)), len(take(receiver))] == [2, 1]
    assert receiver.take() is None


def test_an_unroutable_message_is_rejected() -> None:
    bench = Bench("rabbitmq")
    topic = Topic("nobody")
    bench.declare(topic)

    assert bench.publish(b"a", to=topic) == [OutcomeKind.REJECTED]


def test_only_the_messages_that_nobody_wants_are_unroutable() -> None:
    bench = Bench("rabbitmq")
    topic = Topic("mixed")
    bench.declare(topic)
    bench.declare(Subscription("some", topic=topic, filter=Exact("yes")))
    batch = Outgoing([b"1", b"2", b"3", b"4"])
    batch.routing_keys = ["yes", "no", None, "yes"]
    yes, no = OutcomeKind.ACCEPTED, OutcomeKind.REJECTED

    assert bench.send(batch, topic) == [yes, no, no, yes]
    assert bench.broker.waiting("some") == 2


def test_a_missing_topic_rejects_and_a_missing_subscription_refuses() -> None:
    bench = Bench()
    nowhere = Subscription("nowhere", topic=Topic("nothing"))

    assert bench.publish(b"a", to=nowhere.topic) == [OutcomeKind.REJECTED]
    with pytest.raises(NotFoundError, match="'nowhere' does not exist"):
        bench.receiver(nowhere, Flow(), Log())


def test_a_broker_that_counts_releases_counts_them() -> None:
    bench = Bench("sqs")
    receiver, _ = bench.consumer()
    bench.publish(b"a")
    settle(receiver, take(receiver), VerdictKind.RELEASE)

    assert take(receiver).attempt(0) == 2


def test_a_broker_that_counts_nothing_says_so() -> None:
    bench = Bench("rabbitmq-classic")
    receiver, _ = bench.consumer()
    bench.publish(b"a")

    assert take(receiver).attempt(0) is None


@pytest.mark.parametrize("queue", [QUEUE, Queue("ordered", ordering="key")])
def test_a_restart_ends_every_lease_and_loses_no_message(queue: Queue) -> None:
    bench = Bench()
    bench.declare(queue)
    log = Log()
    receiver = bench.receiver(queue.subscription, Flow(2), log)
    bench.publish(b"a", b"b", b"c", to=queue.topic)
    held = take(receiver)
    bench.broker.restart()
    settle(receiver, held, VerdictKind.ACK)
    receiver.close(1)
    again = bench.receiver(queue.subscription, Flow(), Log())
    batch = take(again)

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
    held, settled = take(one), take(two)
    settle(two, settled, VerdictKind.ACK)
    bench.broker.expire_leases("jobs")

    assert one_log.lost_leases == [held.lease(0)]
    assert two_log.lost_leases == []
    assert take(two).bodies() == [b"a"]


def test_a_batch_taken_while_the_consumer_is_closed_goes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    receiver, _ = bench.consumer()
    bench.publish(b"a")
    take_of_broker = bench.broker.consumers.take

    def take_and_close(name: str, taker: Taker, limit: int, lease_s: float | None) -> Held | None:
        held = take_of_broker(name, taker, limit, lease_s)
        receiver.close(1)
        return held

    monkeypatch.setattr(bench.broker.consumers, "take", take_and_close)

    assert receiver.take() is None
    assert bench.broker.waiting("jobs") == 1
