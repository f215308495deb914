"""The id of a message."""

from __future__ import annotations

from collections import Counter

from unibus_contract.checkers import duplicate, fidelity, loss
from unibus_contract.consuming import Held
from unibus_contract.history import Kind
from unibus_contract.judgement import require, require_equal
from unibus_contract.publishing import MessageFields
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_NAMED: list[MessageFields] = [
    {"id": "1"},
    {"id": "an id, with spaces / and 'quotes'"},
    {"id": "żółw-\N{TURTLE}"},
    {"id": "x" * 255},
    {"id": "550e8400-e29b-41d4-a716-446655440000", "headers": {"id": "another"}},
]


@clause("HDR-08")
def test_the_id_arrives_at_every_subscription(bench: Bench) -> None:
    topic = bench.topic()
    subscriptions = [bench.subscribe(topic) for _ in range(2 if bench.capabilities.fan_out else 1)]
    producer = bench.producer(topic)
    producer.send_batch(_NAMED)
    producer.send(id="one by one")
    reached = [bench.drain(bench.consumer(each)) for each in subscriptions]

    for each in subscriptions:
        bench.judge(each, loss, duplicate, fidelity)
    assert all(reached)


@clause("HDR-09")
def test_a_message_that_nobody_named_has_an_id(bench: Bench) -> None:
    subscription = bench.subscription()
    body = b"the same body"
    for producer in (bus.producer(subscription.topic) for bus in (bench.main, bench.bus())):
        producer.publish_many([body] * 20).wait(bench.timing.patience_s)
        for _ in range(5):
            producer.publish(body).wait(bench.timing.patience_s)
    consumer = bench.main.consumer(subscription)
    ids: list[object] = []

    def is_all_there() -> bool:
        with_patience = consumer.receive(100, timeout_s=bench.timing.quiet_s)
        ids.extend(each.id for each in with_patience)
        with_patience.ack()
        return len(ids) >= 50

    reached = bench.eventually(is_all_there)
    consumer.close()

    odd = [each for each in ids if not isinstance(each, str) or not each]
    require(not odd, f"{len(odd)} deliveries have no id, e.g. {odd[:1]}")
    shared = {each: count for each, count in Counter(ids).items() if count > 1}
    require(not shared, f"{len(ids)} messages share ids: {shared}")
    assert reached


@clause("HDR-13")
def test_the_id_survives_a_nack(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    producer.send(3)
    producer.send_batch(_NAMED[:3])
    later_s = min(0.05, bench.capabilities.nack_delay_s.value)
    turns: Counter[str] = Counter()

    def handle(held: Held) -> None:
        turns[held.message] += 1
        match turns[held.message]:
            case 1:
                held.nack()
            case 2:
                held.nack(later_s)
            case _:
                held.ack()

    reached = bench.drain(bench.consumer(subscription), handler=handle)

    bench.judge(subscription, loss, fidelity)
    assert reached


@clause("HDR-18")
def test_the_id_survives_dead_letter_and_redrive(bench: Bench) -> None:
    subscription = bench.subscription(dead_letter=bench.name(), max_attempts=2)
    producer = bench.producer(subscription.topic)
    producer.send(3, headers={"tenant": "acme"}, key="k", routing_key="a.b")
    producer.send_batch(_NAMED[:3])
    consumer = bench.consumer(subscription)
    bench.drain(consumer, handler=lambda held: held.reject("cannot be done"))
    letters = bench.letters(subscription)
    dead = letters.take(6)
    for each in dead:
        each.release()
    letters.settled()
    letters.close()
    redriven = bench.main.redrive(subscription, max_messages=len(dead))
    bench.recorder.rewind(subscription.name)
    back = consumer.take(6)
    for each in back:
        each.ack()
    consumer.settled()

    bench.judge(subscription, fidelity)
    ids = {
        event.message: event.identity
        for event in bench.recorder.history.of(Kind.DELIVER, subscription=subscription.name)[:6]
    }
    require_equal(6, len(dead), "how many of six messages are dead letters")
    for each in (*dead, *back):
        sentence = f"the id of {each.message}, {each.event.subscription}"
        require_equal(ids[each.message], each.event.identity, sentence, each.event)
        require_equal(
            bench.recorder.published(each.message).headers or {}, dict(each.raw.headers), sentence
        )
    require_equal(6, len(back), f"how many of six came back by redrive, {redriven}")
