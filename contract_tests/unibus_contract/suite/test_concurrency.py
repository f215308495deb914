"""How much one consumer works on at once, and what may be done at the same time."""

from __future__ import annotations

import threading
from functools import partial

from unibus.errors import UnsupportedError
from unibus_contract.checkers import concurrency, duplicate, exclusivity, loss
from unibus_contract.consuming import Held
from unibus_contract.judgement import require, require_equal
from unibus_contract.publishing import RecordingProducer
from unibus_contract.racing import at_once
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_WORKERS = 4


@clause("CON-01")
def test_all_workers_work_at_once(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(_WORKERS)
    meeting = threading.Barrier(_WORKERS)

    def handler(_: Held) -> None:
        meeting.wait(bench.timing.patience_s)

    with bench.running(bench.consumer(subscription), handler, workers=_WORKERS) as running:
        met = bench.recorder.wait_for(
            lambda: bench.recorder.is_done(subscription.name), within_s=bench.timing.patience_s
        )
        require(met and not meeting.broken, f"{_WORKERS} workers never worked at the same time")
        reached = running.drain(bench.end_of(subscription.name))

    bench.judge(subscription, loss, duplicate)
    assert reached


@clause("CON-02")
def test_no_more_work_at_once_than_there_are_workers(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(20)
    begun: list[str] = []
    go_on = threading.Event()

    def handler(held: Held) -> None:
        begun.append(held.message)
        go_on.wait(bench.timing.patience_s)

    with bench.running(bench.consumer(subscription), handler, workers=3) as running:
        assert bench.eventually(lambda: len(begun) >= 3), "three workers have begun"
        bench.eventually(lambda: len(begun) > 3, within_s=bench.timing.quiet_s)
        go_on.set()
        reached = running.drain(bench.end_of(subscription.name))

    bench.judge(subscription, concurrency(3), loss, duplicate)
    assert reached


@clause("CON-05")
def test_batches_are_within_their_bound_and_of_useful_size(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send_batch([{}] * 100)
    consumer = bench.consumer(subscription)
    sizes: list[int] = []

    def look() -> bool:
        batch = consumer.receive(40, timeout_s=bench.timing.quiet_s)
        sizes.append(len(batch))
        for each in batch:
            each.ack()
        return sum(sizes) >= 100

    assert bench.eventually(look), "all of them came"
    reached = bench.drain(consumer)
    useful = min(10, bench.capabilities.max_batch.value.max_messages)

    require(max(sizes) <= 40, f"receive(40) gave {max(sizes)}")
    filled = [each for each in sizes if each]
    require(len(filled) <= 200 / useful, f"100 waiting messages came in {len(filled)} batches")
    bench.judge(subscription, loss, duplicate, exclusivity)
    assert reached


@clause("CON-06")
def test_everything_may_be_opened_used_and_closed_at_once(bench: Bench) -> None:
    topic = bench.topic()
    subscriptions = [bench.subscribe(topic) for _ in range(3)]

    def publish() -> None:
        for _ in range(3):
            producer = bench.producer(topic)
            producer.send(10)
            producer.close()

    def consume(number: int) -> None:
        for _ in range(3):
            consumer = bench.consumer(subscriptions[number])
            for held in consumer.receive(5, timeout_s=bench.timing.quiet_s):
                held.ack()
            consumer.close()

    raised = at_once(publish, publish, *(partial(consume, n) for n in range(3)))
    reached = [bench.drain(bench.consumer(each)) for each in subscriptions]

    require_equal([], raised, "what was raised")
    for each in subscriptions:
        bench.judge(each, loss, duplicate, exclusivity)
    assert all(reached)


@clause("CON-08")
def test_as_many_can_be_in_hand_as_are_allowed(bench: Bench) -> None:
    subscription = bench.subscription()
    consumer = bench.consumer(subscription, max_unsettled=8)
    bench.producer(subscription.topic).send(20)
    held = consumer.take(8)
    for each in reversed(held):
        each.ack()
    reached = bench.drain(consumer)

    require_equal(8, len(held), "deliveries in hand, of which none is settled")
    bench.judge(subscription, loss, duplicate, exclusivity)
    assert reached


@clause("CON-50")
def test_no_more_are_in_hand_than_are_allowed(bench: Bench) -> None:
    bound = 3
    specs = [bench.subscription()]
    if bench.capabilities.ordering:
        specs.append(bench.subscription(ordering="key"))
    for subscription in specs:
        producer = bench.producer(subscription.topic)
        for number in range(20):
            producer.publish(key=f"k{number}")
        producer.confirm()
        consumer = bench.consumer(subscription, max_unsettled=bound)
        held = consumer.take(bound + 1, timeout_s=bench.timing.quiet_s)
        for _ in range(3):
            held.pop(0).ack()
            held += consumer.take(2, timeout_s=bench.timing.quiet_s / 3)
        for each in held:
            each.ack()
        reached = bench.drain(consumer)

        bench.judge(subscription, concurrency(bound), loss, duplicate)
        assert reached


@clause("CON-51")
def test_what_threads_share_and_what_they_do_not(bench: Bench) -> None:
    subscription = bench.subscription()
    consumer = bench.consumer(subscription)
    shared = bench.producer(subscription.topic)
    patience_s = bench.timing.patience_s
    producers = [
        RecordingProducer(bench.recorder, shared.raw, subscription.topic.name, patience_s)
        for _ in range(4)
    ]
    raised = at_once(*(partial(each.send, 10) for each in producers))
    held = consumer.take(40)
    raised += at_once(*(each.ack for each in held))
    refusals: list[UnsupportedError] = []

    def intrude() -> bool:
        try:
            consumer.raw.receive(timeout_s=0.0)
        except UnsupportedError as refusal:
            refusals.append(refusal)
        return bool(refusals)

    def receive() -> None:
        for each in consumer.take():
            each.ack()

    receiving = threading.Thread(target=receive, daemon=True)
    receiving.start()
    bench.eventually(intrude, within_s=patience_s / 2)
    shared.send()
    receiving.join()
    reached = bench.drain(consumer)

    require_equal([], raised, "what sharing them raised")
    require(refusals, "two threads receive from one consumer, and none is refused")
    bench.judge(subscription, loss, duplicate, exclusivity)
    assert reached
