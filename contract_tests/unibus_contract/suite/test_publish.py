"""Publishing."""

from __future__ import annotations

from unibus_contract.checkers import certainty, duplicate, exclusivity, fidelity, loss, phantom
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench


@clause("PUB-01")
def test_what_was_accepted_is_delivered_once_and_nothing_else(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    consumer = bench.consumer(subscription)
    producer.send(50)
    producer.send_batch([{"size": 200}] * 50)
    reached = bench.drain(consumer)

    bench.judge(subscription, loss, phantom, duplicate, exclusivity, certainty, fidelity)
    assert reached
