"""Settling a delivery."""

from __future__ import annotations

from unibus_contract.checkers import duplicate, fencing, loss
from unibus_contract.judgement import require, require_quiet
from unibus_contract.registry import clause
from unibus_contract.timing import Deadline
from unibus_contract.workbench import Bench


@clause("ACK-01")
def test_an_acknowledged_delivery_never_comes_again(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(20)
    first = bench.consumer(subscription)
    reached = bench.drain(first, quiet_s=bench.timing.quiet_s)
    first.close()
    later = bench.consumer(subscription, bus=bench.bus())
    bench.drain(later, quiet_s=bench.timing.quiet_s)

    bench.judge(subscription, duplicate, loss, fencing)
    assert reached


@clause("ACK-02")
def test_receiving_when_nothing_waits_returns_nothing_in_time(bench: Bench) -> None:
    subscription = bench.subscription()
    consumer = bench.consumer(subscription)
    patience = Deadline(bench.timing.quiet_s + bench.timing.patience_s)
    with require_quiet("receiving when nothing waits"):
        batch = consumer.raw.receive(10, timeout_s=bench.timing.quiet_s)

    require(len(batch) == 0, f"an empty subscription gave {len(batch)} deliveries")
    require(not patience.is_over, f"receive(timeout_s={bench.timing.quiet_s}) did not keep it")
