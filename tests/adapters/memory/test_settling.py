from __future__ import annotations

from typing import Literal

import pytest
from memory_bench import Bench, Log, settle, take

from unibus.spi import (
    Flow,
    Incoming,
    OutcomeKind,
    Outgoing,
    Queue,
    Subscription,
    Topic,
    Verdict,
    VerdictKind,
    header_names,
)

OrderingName = Literal["none", "key"]
ACK, NACK, REJECT, EXTEND = (
    VerdictKind.ACK,
    VerdictKind.NACK,
    VerdictKind.REJECT,
    VerdictKind.EXTEND,
)
SENT, SETTLED = OutcomeKind.SENT, OutcomeKind.SETTLED
DEAD = Queue("dead")
FRAGILE = Queue("fragile", max_attempts=2, dead_letter="dead", lease_s=30)


def _letters(bench: Bench) -> tuple[Incoming, list[dict[str, object]]]:
    batch = take(bench.receiver(DEAD.subscription, Flow(), Log()))
    return batch, [dict(batch.message(index).headers or {}) for index in range(len(batch))]


def test_where_no_settlement_is_answered_a_barrier_asks() -> None:
    bench = Bench("rabbitmq")
    receiver, log = bench.consumer()
    bench.publish(b"a", b"b")
    batch = take(receiver)
    receiver.settle([Verdict(batch.ticket, 0, 1, ACK), Verdict(batch.ticket, 1, 1, NACK)])
    assert log.outcomes == [(0, 1, SENT), (1, 1, SENT)]
    receiver.barrier()
    receiver.barrier()

    assert log.outcomes[2:] == [(0, 1, SETTLED), (1, 1, SETTLED)]


def test_a_restart_leaves_unknown_what_no_barrier_confirmed() -> None:
    bench = Bench("rabbitmq")
    receiver, log = bench.consumer()
    bench.publish(b"a")
    settle(receiver, take(receiver), ACK)
    bench.broker.restart()
    receiver.barrier()

    assert log.outcomes == [(0, 1, SENT), (0, 1, OutcomeKind.UNKNOWN)]


@pytest.mark.parametrize(
    ("profile", "early"), [("kafka", [(0, 1, SETTLED)]), ("rabbitmq-stream", [])]
)
def test_a_log_has_what_lies_below_the_first_gap(
    profile: str, early: list[tuple[int, int, OutcomeKind]]
) -> None:
    bench = Bench(profile)
    topic = Topic("t", partitions=1)
    subscription = Subscription("s", topic=topic, mode="stream")
    bench.declare(topic, subscription)
    log = Log()
    receiver = bench.receiver(subscription, Flow(), log)
    bench.publish(b"a", b"b", b"c", to=topic)
    batch = take(receiver)
    receiver.settle([Verdict(batch.ticket, 0, 1, ACK)])
    receiver.settle([Verdict(batch.ticket, 2, 1, ACK)])
    assert log.outcomes == [(0, 1, SENT), *early, (2, 1, SENT)]
    log.outcomes.clear()
    receiver.barrier()

    assert log.outcomes == [*([] if early else [(0, 1, SETTLED)]), (2, 1, SENT)]
    log.outcomes.clear()
    receiver.settle([Verdict(batch.ticket, 1, 1, ACK)])
    receiver.barrier()
    assert log.outcomes == [(1, 1, SENT), (1, 2, SETTLED)]


def test_only_the_part_that_was_not_extended_is_lost() -> None:
    bench = Bench()
    receiver, log = bench.consumer()
    bench.publish(b"a", b"b", b"c")
    batch = take(receiver)
    bench.clock.advance(20)
    receiver.settle([Verdict(batch.ticket, 1, 1, EXTEND, 30)])
    bench.clock.advance(20)
    receiver.settle([Verdict(batch.ticket, 1, 1, ACK)])

    assert log.lost_leases == [batch.lease(0)]
    assert batch.lease(1).lost is None
    assert log.outcomes == [(1, 1, SETTLED)]
    assert take(receiver).bodies() == [b"a", b"c"]


def test_a_rejected_message_goes_to_the_dead_letter_queue_with_its_reason() -> None:
    bench = Bench()
    bench.declare(DEAD, FRAGILE)
    receiver = bench.receiver(FRAGILE.subscription, Flow(), Log())
    sent = Outgoing([b"a"])
    sent.keys, sent.ids, sent.headers = ["k"], ["id-1"], [{"tenant": "acme"}]
    bench.send(sent, FRAGILE.topic)
    settle(receiver, take(receiver), REJECT, reason="no such customer")
    batch, (headers,) = _letters(bench)
    message = batch.message(0)

    assert (message.body, message.key, message.id) == (b"a", "k", "id-1")
    assert headers.pop(header_names.DEATH_FIRST_AT) == "1700000000000"
    assert headers == {
        "tenant": "acme",
        header_names.TOPIC: "fragile",
        header_names.SUBSCRIPTION: "fragile",
        header_names.DEATH_REASON: "rejected",
        header_names.DEATH_DETAIL: "no such customer",
        header_names.DEATH_ATTEMPTS: "1",
    }


def test_a_rejected_message_without_a_dead_letter_queue_is_gone() -> None:
    bench = Bench()
    receiver, log = bench.consumer()
    bench.publish(b"a")
    settle(receiver, take(receiver), REJECT)

    assert (log.outcomes, receiver.take()) == ([(0, 1, SETTLED)], None)


@pytest.mark.parametrize("ordering", ["none", "key"])
def test_who_crashes_the_last_consumer_is_dead_lettered(ordering: OrderingName) -> None:
    bench = Bench("sqs-fifo")
    queue = Queue("q", ordering=ordering, max_attempts=2, dead_letter="dead", lease_s=30)
    bench.declare(DEAD, queue)
    receiver = bench.receiver(queue.subscription, Flow(), Log())
    bench.publish(b"a", to=queue.topic)
    for _ in range(2):
        take(receiver)
        bench.clock.advance(31)
    _, (headers,) = _letters(bench)

    assert receiver.take() is None
    assert headers[header_names.DEATH_REASON] == "max attempts"
    assert headers[header_names.DEATH_ATTEMPTS] == "2"


def test_a_dead_letter_that_has_nowhere_to_go_is_not_lost() -> None:
    bench = Bench()
    bench.declare(FRAGILE)
    receiver = bench.receiver(FRAGILE.subscription, Flow(), Log())
    bench.publish(b"a", to=FRAGILE.topic)
    settle(receiver, take(receiver), REJECT)

    assert take(receiver).bodies() == [b"a"]


def test_a_message_that_is_too_old_is_not_delivered() -> None:
    bench = Bench()
    bench.declare(DEAD, FRAGILE)
    receiver = bench.receiver(FRAGILE.subscription, Flow(), Log())
    sent = Outgoing([b"a", b"b", b"c"])
    sent.timings = [(None, 5.0, None), None, (None, 60.0, None)]
    bench.send(sent, FRAGILE.topic)
    bench.clock.advance(6)

    assert take(receiver).bodies() == [b"b", b"c"]
    batch, (headers,) = _letters(bench)
    assert (batch.bodies(), headers[header_names.DEATH_REASON]) == ([b"a"], "expired")


def test_a_higher_priority_comes_first_and_equals_in_order() -> None:
    bench = Bench("rabbitmq-classic")
    receiver, _ = bench.consumer()
    sent = Outgoing([b"%d" % each for each in range(6)])
    sent.timings = [None, *((None, None, priority) for priority in (4, 0, 2, 99, 4))]
    bench.send(sent)
    batch = take(receiver)
    assert batch.bodies() == [b"1", b"4", b"5", b"3", b"0", b"2"]
    settle(receiver, batch, NACK)

    assert take(receiver).bodies() == batch.bodies()
