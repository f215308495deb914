"""Topics with several subscriptions."""

from __future__ import annotations

from unibus_contract.checkers import duplicate, exclusivity, loss, phantom
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench


@clause("FAN-01")
def test_each_subscription_gets_every_message_once(bench: Bench) -> None:
    topic = bench.topic()
    subscriptions = [bench.subscribe(topic) for _ in range(3)]
    bench.producer(topic).send(20)
    reached = [bench.drain(bench.consumer(each)) for each in subscriptions]

    for each in subscriptions:
        bench.judge(each, loss, phantom, duplicate, exclusivity)
    assert all(reached)
