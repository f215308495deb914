"""What comes again."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import cast

from unibus_contract.checkers import concurrency, duplicate, exclusivity, fidelity, loss, phantom
from unibus_contract.consuming import Held
from unibus_contract.judgement import require, require_equal
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


@clause("RED-02")
def test_what_several_consumers_nack_is_handled_in_the_end(bench: Bench) -> None:
    subscription = bench.subscription()
    failures: Counter[str] = Counter()

    def fail_thrice(held: Held) -> None:
        if failures[held.message] == 3:
            held.ack()
        else:
            failures[held.message] += 1
            held.nack()

    bench.producer(subscription.topic).send(30)
    with bench.crew(subscription, 3, handler=fail_thrice, max_unsettled=5) as crew:
        reached = crew.drain(bench.end_of(subscription.name))

    bench.judge(subscription, loss, phantom, duplicate, exclusivity, fidelity)
    assert reached


@clause("RED-03")
def test_a_rejected_delivery_is_gone_and_it_alone(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(10)
    first = bench.consumer(subscription)
    for each in first.take(5)[::2]:
        each.reject("not for us")
    first.settled()
    first.close()
    later = bench.consumer(subscription, bus=bench.bus())
    reached = bench.drain(later)

    bench.judge(subscription, loss, duplicate, exclusivity)
    assert reached


@clause("RED-04")
def test_a_nack_with_a_delay_waits_for_it(bench: Bench) -> None:
    delay_s = bench.timing.delay_s
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(headers={"tenant": "acme"})
    consumer = bench.consumer(subscription)
    (held,) = consumer.take()
    held.nack(delay_s=delay_s)
    again = consumer.take(timeout_s=delay_s + bench.timing.patience_s)
    for each in again:
        waited_s = each.event.t - held.event.t
        early = f"it came after {waited_s:.3f} s, {delay_s} s were asked"
        require(waited_s >= delay_s, early, held.event, each.event)
        each.ack()
    reached = bench.drain(consumer)

    bench.judge(subscription, loss, duplicate, fidelity)
    require_equal(1, len(again), "how often it came again")
    assert reached


@clause("RED-08")
def test_what_a_closed_consumer_held_comes_again(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(30)
    first = bench.consumer(subscription)
    held = first.take(10)
    for each in held[:4]:
        each.ack()
    first.close()
    later = bench.consumer(subscription, bus=bench.bus())
    reached = bench.drain(later)

    bench.judge(subscription, loss, phantom, duplicate, exclusivity, fidelity)
    assert len(held) == 10
    assert reached


@clause("RED-09")
def test_changes_to_headers_do_not_reach_the_next_attempt(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(3, headers={"tenant": "acme", "step": "1"})
    consumer = bench.consumer(subscription)
    for held in consumer.take(3):
        headers = cast("dict[str, object]", held.raw.headers)
        with suppress(TypeError, AttributeError):  # that they cannot be changed will do
            headers["tenant"] = "other"
            headers["added"] = "by the handler"
            headers.pop("step")
        held.release()
    reached = bench.drain(consumer)

    bench.judge(subscription, loss, duplicate, fidelity)
    assert reached


@clause("RED-10")
def test_a_full_window_stalls_until_something_is_settled(bench: Bench) -> None:
    window = 4
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(10)
    consumer = bench.consumer(subscription, max_unsettled=window)
    held = consumer.take(window)
    is_full = consumer.is_quiet()
    for each in held[:2]:
        each.ack()
    more = consumer.take(2)
    is_full_again = consumer.is_quiet()

    bench.judge(subscription, concurrency(window))
    require_equal(window, len(held), "what comes into an empty window")
    require_equal(2, len(more), "what comes when two of a full window are settled")
    assert is_full
    assert is_full_again
    for each in (*held[2:], *more):
        each.ack()
    reached = bench.drain(consumer)
    bench.judge(subscription, concurrency(window), loss, duplicate)
    assert reached


@clause("RED-20")
def test_many_nacks_at_once_lose_nothing(bench: Bench) -> None:
    delays = (0.0, bench.timing.delay_s / 2, bench.timing.delay_s)
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(30)
    failed: set[str] = set()

    def fail_once(held: Held) -> None:
        if held.message in failed:
            held.ack()
        else:
            held.nack(delays[len(failed) % len(delays)])
            failed.add(held.message)

    reached = bench.drain(bench.consumer(subscription), handler=fail_once)

    bench.judge(subscription, loss, phantom, duplicate, exclusivity, fidelity)
    assert len(failed) == 30
    assert reached


@clause("RED-57")
def test_a_released_delivery_comes_again_unchanged(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(6, headers={"tenant": "acme"})
    first = bench.consumer(subscription)
    held = first.take(6)
    for each in held[:3]:
        each.release()
    mine = first.take(3)
    for each in (*mine, *held[3:]):
        each.release()
    first.close()
    reached = bench.drain(bench.consumer(subscription, bus=bench.bus()))

    bench.judge(subscription, loss, phantom, duplicate, exclusivity, fidelity)
    require_equal(3, len(mine), "what comes again to the consumer that released three")
    assert reached
