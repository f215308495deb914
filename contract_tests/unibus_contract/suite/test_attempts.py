"""How attempts are counted."""

from __future__ import annotations

from unibus_contract.checkers import Counting, attempts, duplicate, loss
from unibus_contract.consuming import Held
from unibus_contract.judgement import require_equal
from unibus_contract.registry import clause
from unibus_contract.tether import tethered
from unibus_contract.workbench import Bench


@clause("RED-05")
def test_the_attempt_number_tells_a_first_delivery_from_a_later_one(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(5)
    consumer = bench.consumer(subscription)
    first = consumer.take(5)
    for each in first:
        each.nack()
    again = consumer.take(5)
    for each in again:
        each.ack()
    reached = bench.drain(consumer)

    require_equal([1] * 5, [each.event.attempt for each in first], "attempts of first deliveries")
    later = [each.event.attempt > 1 for each in again]
    require_equal([True] * 5, later, "whether attempts after a nack are more than 1")
    bench.judge(subscription, attempts(Counting(is_exact=False)), loss)
    assert reached


@clause("RED-06")
def test_each_nack_raises_the_attempt_number_by_one(bench: Bench) -> None:
    subscription = bench.subscription()
    (poison, *_) = bench.producer(subscription.topic).send(10)
    failures: list[Held] = []

    def fail_twice(held: Held) -> None:
        if held.message == poison.message and len(failures) < 2:
            failures.append(held)
            held.nack()
        else:
            held.ack()

    members = [bench.consumer(subscription, bus=bench.bus(), max_unsettled=2) for _ in range(2)]
    reached = bench.drain(*members, handler=fail_twice)

    bench.judge(subscription, attempts(), loss, duplicate)
    assert len(failures) == 2
    assert reached


@clause("RED-07")
def test_a_message_published_afresh_begins_anew(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    producer.send(key="k", headers={"tenant": "acme"})
    consumer = bench.consumer(subscription)
    (held,) = consumer.take()
    held.nack()
    (again,) = consumer.take()
    producer.send(key=again.raw.key, headers=again.raw.headers)
    again.ack()
    (fresh,) = consumer.take()
    fresh.ack()

    require_equal(1, fresh.event.attempt, "the attempt of what was published afresh", fresh.event)
    bench.judge(subscription, attempts(Counting(is_exact=False)))


@clause("RED-51")
def test_a_consumer_that_was_torn_away_counts(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(5)
    tether = tethered(bench)
    consumer = tether.consumer(subscription)
    held = consumer.take(5)
    held[0].ack()
    consumer.settled()
    tether.tear()
    again = consumer.take(4, timeout_s=bench.timing.recovery_s)
    for each in again:
        each.ack()
    reached = bench.drain(consumer)

    bench.judge(subscription, attempts(Counting(loss=True)), loss)
    assert len(held) == 5
    assert len(again) == 4
    assert reached


@clause("RED-55")
def test_a_restart_forgets_no_attempt(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(4)
    consumer = bench.consumer(subscription)
    for held in consumer.take(4):
        held.nack()
    for held in consumer.take(4):
        held.nack()
    consumer.settled()
    consumer.close()
    bench.recorder.fault("restart")
    bench.faults.restart()
    heir = bench.consumer(subscription, bus=bench.bus())
    again = heir.take(4, timeout_s=bench.timing.recovery_s)
    for held in again:
        held.ack()
    reached = bench.drain(heir)

    # What a consumer has buffered when it closes may count, so there may be more.
    known = [each.event.attempt >= 3 for each in again]
    require_equal([True] * 4, known, "whether attempts after two nacks and a restart are 3 or more")
    bench.judge(subscription, loss)
    assert len(again) == 4
    assert reached


@clause("RED-58")
def test_a_release_counts_where_that_is_declared(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(5)
    consumer = bench.consumer(subscription)
    for _ in range(2):
        for held in consumer.take(5):
            held.release()
    last = consumer.take(5)
    for held in last:
        held.ack()
    reached = bench.drain(consumer)

    counts = Counting(release=bench.capabilities.release.value == "counted")
    bench.judge(subscription, attempts(counts), loss, duplicate)
    assert len(last) == 5
    assert reached
