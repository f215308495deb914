"""What is left when a consumer, or the broker, ends without a word."""

from __future__ import annotations

from unibus_contract.checkers import duplicate, exclusivity, fidelity, loss, phantom
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench


@clause("RED-50")
def test_a_killed_consumer_leaves_what_it_had_not_settled(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(20)
    agent = bench.agent(subscription, ack=7)
    assert agent.wait_for(20)
    agent.flush()
    agent.kill()
    heir = bench.consumer(subscription)
    reached = bench.drain(heir)

    bench.judge(subscription, loss, phantom, duplicate, exclusivity, fidelity)
    assert reached


@clause("LIF-14")
def test_a_restart_of_the_broker_loses_nothing_that_was_accepted(bench: Bench) -> None:
    subscription = bench.subscription()
    producer, consumer = bench.producer(subscription.topic), bench.consumer(subscription)
    producer.send(20)
    held = consumer.take(5)
    bench.recorder.fault("restart")
    bench.faults.restart()
    for each in held:
        each.ack()
    producer.send(20)
    producer.confirm(bench.timing.recovery_s)
    reached = bench.drain(consumer)

    bench.judge(subscription, loss, phantom, fidelity)
    assert reached
