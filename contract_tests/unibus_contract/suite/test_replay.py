"""Logs: where a subscription begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from unibus.errors import ConfigurationError
from unibus_contract.checkers import duplicate, exclusivity, loss, phantom
from unibus_contract.judgement import require_raises
from unibus_contract.passing import moment_between
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001  # what is refused


@clause("SEEK-01")
def test_earliest_is_before_what_others_have_consumed(bench: Bench) -> None:
    topic = bench.topic()
    early = bench.subscribe(topic)
    bench.producer(topic).send(10)
    reached = [bench.drain(bench.consumer(early))]
    late = bench.subscribe(topic, start="earliest", with_past=True)
    bench.producer(topic).send(5)
    reached.append(bench.drain(bench.consumer(late)))

    bench.judge(late, loss, duplicate, exclusivity)
    assert all(reached)


@clause("SEEK-02")
def test_latest_is_behind_what_was_published_before(bench: Bench) -> None:
    topic = bench.topic()
    bench.declare(bench.undeclared(topic, start="earliest"), topic)
    missed = {each.message for each in bench.producer(topic).send(10)}
    subscription = bench.subscribe(
        topic, start="latest", wants=lambda event: event.message not in missed
    )
    consumer = bench.consumer(subscription)
    bench.producer(topic).send(10)
    reached = bench.drain(consumer)

    bench.judge(subscription, phantom, loss, duplicate, exclusivity)
    assert reached


@clause("SEEK-03")
def test_a_subscription_that_exists_goes_on_where_it_was(bench: Bench) -> None:
    subscription = bench.subscription(start="earliest")
    bench.producer(subscription.topic).send(20)
    first = bench.consumer(subscription, bus=bench.bus())
    for _ in range(10):
        (held,) = first.take()
        held.ack()
    first.close()
    again = replace(subscription, start="latest")
    bench.declare(again)
    later = bench.consumer(again, bus=bench.bus())
    reached = bench.drain(later, quiet_s=bench.timing.quiet_s)

    bench.judge(subscription, loss, duplicate, exclusivity)
    assert reached


@clause("SEEK-50")
def test_a_start_in_time_is_between_before_and_after(bench: Bench) -> None:
    topic = bench.topic()
    witness = bench.subscribe(topic)
    consumer = bench.consumer(witness)
    producer = bench.producer(topic)
    before = {each.message for each in producer.send(10)}
    reached = [bench.drain(consumer)]
    moment = moment_between(bench, consumer)
    producer.send(10)
    subscription = bench.subscribe(
        topic, start=moment, with_past=True, wants=lambda event: event.message not in before
    )
    reached.append(bench.drain(bench.consumer(subscription)))

    bench.judge(subscription, phantom, loss, duplicate, exclusivity)
    assert all(reached)


@clause("SEEK-53")
def test_a_time_without_a_zone_is_refused(bench: Bench) -> None:
    subscription = bench.subscription()
    consumer = bench.consumer(subscription)
    with require_raises(ConfigurationError, sentence="seek to a naive time", saying=("zone",)):
        consumer.raw.seek(_NAIVE)
    with require_raises(ConfigurationError, sentence="a naive start", saying=("zone",)):
        bench.undeclared(subscription.topic, start=_NAIVE)
    bench.producer(subscription.topic).send(3)
    reached = bench.drain(consumer)

    bench.judge(subscription, loss, duplicate)
    assert reached
