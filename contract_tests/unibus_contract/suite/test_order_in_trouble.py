"""The order in which messages arrive, when deliveries fail, consumers die and answers are lost."""

from __future__ import annotations

from collections import Counter
from itertools import cycle, islice

from unibus_contract.checkers import (
    Checker,
    duplicate,
    loss,
    order,
    order_across_redelivery,
    order_of_effects,
)
from unibus_contract.consuming import Held
from unibus_contract.judgement import require, require_equal
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_KEYS = ("a", "b", "c", "d")
_AFTER_TROUBLE: tuple[Checker, ...] = (
    loss,
    order_across_redelivery(by="key"),
    order_of_effects(by="key"),
)


@clause("ORD-07")
def test_a_nacked_message_comes_first_over_a_new_connection(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    bench.producer(subscription.topic).send(10, key="k")
    first = bench.consumer(subscription, bus=bench.bus())
    for _ in range(3):
        (held,) = first.take()
        held.ack()
    (nacked,) = first.take()
    nacked.nack()
    first.close()
    later = bench.consumer(subscription, bus=bench.bus())
    (again,) = later.take()
    again.ack()
    reached = bench.drain(later)

    require_equal(nacked.message, again.message, "the first message after the new connection")
    bench.judge(subscription, *_AFTER_TROUBLE, duplicate)
    assert reached


@clause("ORD-50")
def test_later_messages_of_a_key_wait_for_a_nacked_one(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    producer = bench.producer(subscription.topic)
    for key in islice(cycle(_KEYS), 40):
        producer.publish(key=key)
    producer.confirm()
    delay_s = bench.timing.delay_s if bench.view.ordered.nack_delay_s else 0.0
    came: Counter[str] = Counter()

    def handler(held: Held) -> None:
        came[held.message] += 1
        _, key, position = held.message.split("/")
        if key == "a" and position == "0" and came[held.message] == 1:
            held.nack(delay_s)
        elif key != "a" and position == "2" and came[held.message] <= 2:
            held.nack()
        else:
            held.ack()

    reached = bench.drain(bench.consumer(subscription), handler=handler)

    bench.judge(subscription, *_AFTER_TROUBLE)
    assert reached


@clause("ORD-51")
def test_what_a_killed_consumer_held_comes_before_what_is_behind_it(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    producer = bench.producer(subscription.topic)
    for key in islice(cycle(_KEYS), 40):
        producer.publish(key=key)
    producer.confirm()
    agent = bench.agent(subscription, ack=6)
    assert agent.wait_for(6 + len(_KEYS)), "the agent holds one of each key"
    agent.kill()
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, *_AFTER_TROUBLE)
    assert reached


@clause("ORD-52")
def test_a_lost_confirmation_does_not_change_the_order(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    with bench.faults.cut(bench.url) as cut:
        producer = bench.producer(subscription.topic, bus=bench.bus(url=cut.url))
        producer.send(5, key="k")
        bench.recorder.fault("the broker's answers are lost")
        cut.swallow_answers()
        for _ in range(20):
            producer.publish(key="k")
        bench.recorder.fault("the connection breaks")
        cut.break_off()
        for _ in range(20):
            producer.publish(key="k")
        producer.confirm(bench.timing.recovery_s)
        cut.heal()
        producer.send(5, key="k")
        producer.close()
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, order(by="key"))
    assert reached


@clause("ORD-55")
def test_each_key_keeps_its_order_under_contention(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    members = bench.capabilities.competing.value or 3
    producers = [bench.producer(subscription.topic, bus=bench.bus()) for _ in range(3)]
    came: Counter[str] = Counter()

    def handler(held: Held) -> None:
        came[held.message] += 1
        position = int(held.message.rpartition("/")[2])
        if position % 7 == 3 and came[held.message] == 1:
            held.nack() if position % 2 else held.release()
        else:
            held.ack()

    with bench.crew(subscription, min(members, 3), handler=handler) as crew:
        for batch in range(4):
            for producer in producers:
                for key in islice(cycle(_KEYS), 12):
                    producer.publish(key=key)
                producer.send_batch([{"key": key} for key in _KEYS * (batch + 1)])
        reached = crew.drain(bench.end_of(subscription.name))

    bench.judge(subscription, *_AFTER_TROUBLE, duplicate)
    require(came, "something came at all")
    assert reached
