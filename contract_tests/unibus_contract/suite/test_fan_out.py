"""Topics with several subscriptions, with none, and beside other topics."""

from __future__ import annotations

from functools import partial
from typing import Literal

from unibus.specs import Subscription, Topic
from unibus_contract.checkers import duplicate, exclusivity, loss, phantom
from unibus_contract.consuming import RecordingConsumer
from unibus_contract.judgement import require, require_equal, require_quiet
from unibus_contract.racing import at_once
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_TOPICS = 12
Start = Literal["earliest"] | None


@clause("FAN-01")
def test_each_subscription_gets_every_message_once(bench: Bench) -> None:
    topic = bench.topic()
    subscriptions = [bench.subscribe(topic) for _ in range(3)]
    bench.producer(topic).send(20)
    reached = [bench.drain(bench.consumer(each)) for each in subscriptions]

    for each in subscriptions:
        bench.judge(each, loss, phantom, duplicate, exclusivity)
    assert all(reached)


@clause("FAN-02")
def test_topics_do_not_mix(bench: Bench) -> None:
    prefix = bench.name()
    names = (prefix, f"{prefix}.sub", prefix.upper())
    subscriptions = [bench.subscribe(Topic(each)) for each in names]
    for each in subscriptions:
        bench.producer(each.topic).send(5, routing_key=prefix)
    consumers = [bench.consumer(each) for each in subscriptions]
    reached = [bench.drain(each) for each in consumers]

    for each in subscriptions:
        bench.judge(each, phantom, loss, duplicate, exclusivity)
    assert all(reached)


@clause("FAN-03")
def test_one_connection_carries_many_topics(bench: Bench) -> None:
    # A log that is read from its beginning need not be asked where it ends.
    start: Start = "earliest" if "earliest" in bench.capabilities.start.value else None
    subscriptions = [bench.subscription(start=start) for _ in range(_TOPICS)]
    producers = [bench.producer(each.topic) for each in subscriptions]
    consumers = [bench.consumer(each) for each in subscriptions]
    for _ in range(3):
        for producer in producers:
            producer.publish()
    for producer in producers:
        producer.confirm()
    reached = [bench.drain(each) for each in consumers]

    for each in subscriptions:
        bench.judge(each, loss, phantom, duplicate, exclusivity)
    assert all(reached)


@clause("FAN-04")
def test_a_subscription_that_nobody_reads_holds_up_nobody(bench: Bench) -> None:
    topic = bench.topic()
    unread, read = bench.subscribe(topic), bench.subscribe(topic)
    consumer = bench.consumer(read)
    producer = bench.producer(topic)
    sent = producer.send_batch([{"size": 1000}] * 1500)
    reached = bench.drain(consumer)

    bench.judge(read, loss, duplicate, exclusivity)
    late = bench.consumer(unread).take(1)
    require_equal(sent[:1], [each.message for each in late], "what the other one has waiting")
    assert reached


@clause("FAN-05")
def test_a_deleted_subscription_gets_nothing_more(bench: Bench) -> None:
    topic = bench.topic()
    kept, deleted = bench.subscribe(topic), bench.subscribe(topic)
    producer = bench.producer(topic)
    producer.send(5)
    bench.main.topology.delete(deleted)
    producer.send(5)
    bench.declare(deleted)
    after = {each.message for each in producer.send(5)}
    again = bench.consumer(deleted)
    came = [each.message for each in again.take(5)]
    is_all = again.is_quiet()
    reached = bench.drain(bench.consumer(kept))

    require_equal(after, set(came), "what came to the subscription that was declared again")
    require(is_all and len(came) == len(after), f"more came: {came}")
    bench.judge(kept, loss, duplicate, exclusivity)
    assert reached


@clause("FAN-07")
def test_publishing_to_nobody_is_no_error_for_those_who_come_later(bench: Bench) -> None:
    topic = bench.topic()
    bench.declare(topic)
    producer = bench.producer(topic)
    with require_quiet("publishing while nobody subscribes"):
        missed = {each.message for each in producer.send(5)}
    subscription = bench.subscribe(topic, wants=lambda event: event.message not in missed)
    with require_quiet("publishing once somebody does"):
        producer.send(5)
    consumer = bench.consumer(subscription)
    reached = bench.drain(consumer)

    bench.judge(subscription, loss, phantom, duplicate, exclusivity)
    assert reached


@clause("FAN-08")
def test_a_program_that_only_published_and_ended_reaches_everybody(bench: Bench) -> None:
    topic = bench.topic()
    subscriptions = [bench.subscribe(topic) for _ in range(2)]
    bus = bench.bus()
    producer = bench.producer(topic, bus=bus)
    for _ in range(20):
        producer.publish()
    producer.close()
    bus.close()
    reached = [bench.drain(bench.consumer(each)) for each in subscriptions]

    for each in subscriptions:
        bench.judge(each, loss, duplicate, exclusivity)
    assert all(reached)


@clause("FAN-09")
def test_threads_may_subscribe_at_the_same_time_on_one_connection(bench: Bench) -> None:
    topic = bench.topic()
    bench.declare(topic)
    specs = [bench.undeclared(topic) for _ in range(4)]
    raised = at_once(*(partial(bench.declare, each) for each in specs))
    for each in specs:
        bench.expect(each)
    consumers: dict[str, RecordingConsumer] = {}

    def open_(subscription: Subscription) -> None:
        consumers[subscription.name] = bench.consumer(subscription)

    raised += at_once(*(partial(open_, each) for each in specs))
    bench.producer(topic).send(10)
    reached = [bench.drain(each) for each in consumers.values()]

    require_equal([], raised, "what declaring and opening at once raises")
    for each in specs:
        bench.judge(each, loss, duplicate, exclusivity)
    assert all(reached)
