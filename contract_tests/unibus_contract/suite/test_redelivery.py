"""What comes again."""

from __future__ import annotations

from unibus_contract.checkers import duplicate, fidelity, loss, phantom
from unibus_contract.consuming import Held
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench


@clause("RED-01")
def test_a_nacked_delivery_comes_again_unchanged(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(10, headers={"tenant": "acme"})
    failed: set[str] = set()

    def fail_once(held: Held) -> None:
        if held.message in failed:
            held.ack()
        else:
            failed.add(held.message)
            held.nack()

    reached = bench.drain(bench.consumer(subscription), handler=fail_once)

    bench.judge(subscription, loss, phantom, duplicate, fidelity)
    assert reached
