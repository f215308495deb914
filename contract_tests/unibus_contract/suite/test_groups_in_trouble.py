"""Several consumers of one subscription, of which some leave or die."""

from __future__ import annotations

from itertools import cycle, islice

from unibus_contract.checkers import (
    duplicate,
    exclusivity,
    loss,
    order_across_redelivery,
    order_of_effects,
)
from unibus_contract.judgement import require, require_equal
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_KEYS = ("a", "b", "c", "d")


@clause("GRP-05")
def test_what_a_consumer_held_goes_to_the_others(bench: Bench) -> None:
    subscription = bench.subscription()
    leaving = bench.consumer(subscription, bus=bench.bus(), max_unsettled=5)
    bench.producer(subscription.topic).send(20)
    held = leaving.take(5)
    agent = bench.agent(subscription, ack=2, max_unsettled=5)
    assert agent.wait_for(7), "the agent has acked two and holds five"
    held[0].ack()
    leaving.close()
    agent.kill()
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, exclusivity, duplicate)
    assert reached


@clause("GRP-06")
def test_the_next_consumer_begins_where_the_last_one_ended(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    sent = {each.message for each in producer.send(20)}
    first = bench.consumer(subscription, bus=bench.bus())
    done = first.take(10)[:6]
    for each in done:
        each.ack()
    first.close()
    next_ = bench.consumer(subscription, bus=bench.bus())
    rest = next_.take(14)
    came = {each.message for each in rest}
    for each in rest:
        each.ack()
    is_over = next_.is_quiet()
    next_.close()
    producer.send(10)
    agent = bench.agent(subscription, ack=4)
    assert agent.wait_for(10), "the agent has all that is new"
    agent.kill()
    reached = bench.drain(bench.consumer(subscription))

    require_equal(sent - {each.message for each in done}, came, "what was left after a clean close")
    require(is_over, "more came than was left after a clean close")
    bench.judge(subscription, loss)
    assert reached


@clause("GRP-50")
def test_each_key_takes_effect_in_order_while_consumers_come_and_go(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    producer = bench.producer(subscription.topic)
    agent = bench.agent(subscription, ack=6)
    for key in islice(cycle(_KEYS), 40):
        producer.publish(key=key)
    producer.confirm()
    assert agent.wait_for(6 + len(_KEYS)), "the agent holds one of each key"
    visitor = bench.consumer(subscription, bus=bench.bus())
    agent.kill()
    for _ in range(6):
        (held,) = visitor.take()
        held.ack()
    with bench.crew(subscription, 2, max_unsettled=8) as crew:
        for key in islice(cycle(_KEYS), 40):
            producer.publish(key=key)
        producer.confirm()
        visitor.take(4)
        visitor.close()
        reached = crew.drain(bench.end_of(subscription.name))

    bench.judge(
        subscription,
        loss,
        exclusivity,
        order_across_redelivery(by="key"),
        order_of_effects(by="key"),
    )
    assert reached
