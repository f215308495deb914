"""Opening and closing."""

from __future__ import annotations

from unibus.errors import ClosedError
from unibus_contract.judgement import require_quiet, require_raises
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench


@clause("LIF-02")
def test_closing_twice_is_quiet(bench: Bench) -> None:
    subscription = bench.subscription()
    bus = bench.bus()
    producer, consumer = bus.producer(subscription.topic), bus.consumer(subscription)
    for handle in (producer, consumer, bus):
        handle.close()
        with require_quiet(f"a second close of {type(handle).__name__}"):
            handle.close()


@clause("LIF-04")
def test_a_closed_object_says_that_it_is_closed(bench: Bench) -> None:
    subscription = bench.subscription()
    bus = bench.bus()
    producer, consumer = bus.producer(subscription.topic), bus.consumer(subscription)
    producer.close()
    consumer.close()
    with require_raises(ClosedError, sentence="publish after close"):
        producer.publish(b"late")
    with require_raises(ClosedError, sentence="receive after close"):
        consumer.receive(timeout_s=bench.timing.quiet_s)
    bus.close()
    with require_raises(ClosedError, sentence="opening a producer of a closed bus"):
        bus.producer(subscription.topic)
    with require_raises(ClosedError, sentence="opening a consumer of a closed bus"):
        bus.consumer(subscription)
