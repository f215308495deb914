from __future__ import annotations

import pytest
from memory_bench import QUEUE, Bench, Feed, Log, settle, take

import unibus
from unibus.spi import (
    Flow,
    Link,
    NotFoundError,
    OutcomeKind,
    Outgoing,
    Subscription,
    Topic,
    UnsupportedError,
    VerdictKind,
)
from unibus_memory.sender import MemorySender


def test_a_restart_is_told_to_senders_too() -> None:
    bench, feed, gone = Bench(), Feed(), Feed()
    sender = MemorySender(bench.broker, QUEUE.topic, feed, reports_unroutable=True)
    MemorySender(bench.broker, QUEUE.topic, gone, reports_unroutable=True).close(1)
    bench.broker.restart()

    assert (feed.links, gone.links) == ([Link.DOWN, Link.UP], [])
    sender.close(1)


def test_a_restart_forgets_the_attempts_of_a_share_group_alone() -> None:
    attempts = {}
    for profile in ("memory", "kafka-share"):
        bench = Bench(profile)
        receiver, _ = bench.consumer()
        bench.publish(b"a")
        settle(receiver, take(receiver), VerdictKind.NACK)
        bench.broker.restart()
        attempts[profile] = take(receiver).attempt(0)

    assert attempts == {"memory": 2, "kafka-share": 1}


def test_a_consumer_of_what_is_deleted_hears_of_it_and_goes_on_when_it_is_back() -> None:
    bench = Bench()
    receiver, log = bench.consumer()
    bench.publish(b"a")
    held = take(receiver)
    for half in (QUEUE.subscription, QUEUE.topic):
        bench.broker.delete(half)
    assert receiver.take() is None
    settle(receiver, held, VerdictKind.ACK)
    assert log.outcomes == [(0, 1, OutcomeKind.LEASE_LOST)]
    bench.declare(QUEUE)
    bench.publish(b"b")

    assert log.links == [Link.DOWN, Link.UP]
    assert isinstance(held.lease(0).lost, NotFoundError)
    assert take(receiver).bodies() == [b"b"]


def test_a_delayed_message_for_what_is_deleted_meanwhile_is_dropped() -> None:
    bench = Bench()
    batch = Outgoing([b"a"])
    batch.timings = [(5.0, None, None)]
    bench.send(batch)
    bench.broker.delete(QUEUE.topic)
    bench.clock.advance(6)
    bench.declare(QUEUE)

    assert bench.broker.waiting("jobs") == 0


def test_a_queue_keeps_no_log() -> None:
    with unibus.connect("memory://") as bus:
        stream = Subscription("s", topic=QUEUE.topic, mode="stream")
        bus.topology.apply(QUEUE)

        with pytest.raises(UnsupportedError, match="keeps no log"):
            bus.topology.apply(stream)


def test_a_consumer_that_joins_waits_for_the_handlers_of_the_others() -> None:
    bench = Bench("kafka")
    topic = Topic("t")
    subscription = Subscription("s", topic=topic)
    bench.declare(topic, subscription)
    log = Log()
    first = bench.receiver(subscription, Flow(), log)
    bench.publish(*(b"x" for _ in range(8)), to=topic)
    batches = [take(first) for _ in range(4)]
    second = bench.receiver(subscription, Flow(), Log())
    lost = [batch for batch in batches if batch.lease(0).lost is not None]

    assert [scope for scope, _ in log.revoked] == ["lane 2 epoch 1", "lane 3 epoch 1"]
    assert {budget_s for _, budget_s in log.revoked} == {60.0}
    assert [batch.lease(0) for batch in lost] == log.lost_leases
    again = [take(second) for _ in lost]
    assert [batch.position(0) for batch in again] == ["2:0", "3:0"]
    assert (first.is_idle(), second.is_idle()) == (False, False)
