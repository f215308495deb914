"""The order in which messages arrive, while nothing goes wrong."""

from __future__ import annotations

import threading
from itertools import cycle, islice

from unibus.errors import MessageRejectedError
from unibus_contract.checkers import (
    concurrency,
    duplicate,
    exclusivity,
    loss,
    order,
    order_of_effects,
    phantom,
)
from unibus_contract.consuming import Handler, Held
from unibus_contract.judgement import require_equal, require_raises
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_KEYS = ("a", "b", "żółw", "d e", "f")


@clause("ORD-01")
def test_a_topic_ordered_as_a_whole_keeps_the_order_across_keys(bench: Bench) -> None:
    subscription = bench.subscription(ordering="topic")
    producer = bench.producer(subscription.topic)
    for key in (*_KEYS, None) * 3:
        for _ in range(3):
            producer.publish(key=key)
    producer.confirm()
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, duplicate, order(by="topic"))
    assert reached


@clause("ORD-02")
def test_each_key_keeps_its_order_among_others(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    producer = bench.producer(subscription.topic)
    for key in islice(cycle(_KEYS), 60):
        producer.publish(key=key)
    producer.confirm()
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, duplicate, order(by="key"))
    assert reached


@clause("ORD-03")
def test_each_key_keeps_its_order_with_several_consumers(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    producer = bench.producer(subscription.topic)
    begin = _slow_to_begin(bench)

    def handler(held: Held) -> None:
        begin(held)
        held.ack()

    with bench.crew(subscription, 3, handler=handler, max_unsettled=4) as crew:
        for key in islice(cycle(_KEYS), 60):
            producer.publish(key=key)
        producer.confirm()
        reached = crew.drain(bench.end_of(subscription.name))

    bench.judge(subscription, loss, exclusivity, order(by="key"), order_of_effects(by="key"))
    assert reached


@clause("ORD-06")
def test_calls_of_one_producer_keep_their_order_whatever_their_size(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    producer = bench.producer(subscription.topic)
    consumer = bench.consumer(subscription)
    for size, batch in ((10, 40), (5000, 1), (10, 3), (1000, 20)):
        for _ in range(10):
            producer.publish(key="k", size=size)
        producer.send_batch([{"key": "k", "size": size}] * batch)
    reached = bench.drain(consumer)

    bench.judge(subscription, loss, duplicate, order(by="key"))
    assert reached


@clause("ORD-11")
def test_run_handles_one_delivery_at_a_time_on_the_calling_thread(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(20)
    threads: set[int] = set()
    others = threading.Barrier(2)

    def handler(_: Held) -> None:
        threads.add(threading.get_ident())
        if not others.broken:  # the first waits whether a second is let in beside it
            _meet(others, bench.timing.quiet_s)

    with bench.running(bench.consumer(subscription), handler) as running:
        reached = running.drain(bench.end_of(subscription.name))

    bench.judge(subscription, concurrency(1), loss, duplicate)
    require_equal({running.thread}, threads, "the thread that handles")
    assert reached


@clause("ORD-53")
def test_a_refused_batch_sends_nothing_and_the_rest_keeps_its_order(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    producer = bench.producer(subscription.topic)
    consumer = bench.consumer(subscription)
    producer.send(5, key="k")
    with require_raises(MessageRejectedError, sentence="a batch with a reserved header in it"):
        producer.send_batch(
            [{"key": "k", "headers": {"unibus-id": "mine"} if n == 9 else None} for n in range(20)]
        )
    producer.send_batch([{"key": "k"}] * 19)
    producer.send(5, key="k")
    reached = bench.drain(consumer)

    bench.judge(subscription, phantom, loss, duplicate, order(by="key"))
    assert reached


@clause("ORD-56")
def test_workers_handle_the_messages_of_one_key_one_after_the_other(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    producer = bench.producer(subscription.topic)
    for key in islice(cycle(_KEYS[:4]), 40):
        producer.publish(key=key)
    producer.confirm()
    consumer = bench.consumer(subscription)
    with bench.running(consumer, _slow_to_begin(bench), workers=8) as running:
        reached = running.drain(bench.end_of(subscription.name))

    bench.judge(subscription, loss, duplicate, order(by="key"), order_of_effects(by="key"))
    assert reached


def _slow_to_begin(bench: Bench) -> Handler:
    """Return a handler that takes its time with the first message of a key."""

    def handler(held: Held) -> None:
        if held.message.endswith("/a/0"):
            begun = bench.recorder.count
            # Whatever may be done meanwhile is done meanwhile.
            bench.recorder.wait_for(
                lambda: bench.recorder.count > begun + 60, within_s=bench.timing.quiet_s
            )

    return handler


def _meet(others: threading.Barrier, within_s: float) -> None:
    try:
        others.wait(within_s)
    except threading.BrokenBarrierError:
        return
