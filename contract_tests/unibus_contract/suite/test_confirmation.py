"""The way of a settlement to the broker, and what is said of it."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from unibus.errors import LeaseLostError, UnibusError, UnsupportedError
from unibus.outcome import OutcomeKind
from unibus_contract.checkers import duplicate, exclusivity, fencing, loss
from unibus_contract.consuming import Held, RecordingConsumer
from unibus_contract.history import Event, Kind
from unibus_contract.judgement import require, require_equal, require_quiet, require_raises
from unibus_contract.registry import clause
from unibus_contract.suite.test_settlement import VERBS, verbs
from unibus_contract.tether import tethered
from unibus_contract.workbench import Bench


@clause("ACK-05")
def test_an_outcome_comes_with_the_settlement(bench: Bench) -> None:
    names = verbs(bench)
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(len(names))
    consumer = bench.consumer(subscription)
    for name in names:
        (held,) = consumer.take()
        require(held.raw.outcome is None, "a delivery in hand has an outcome", held.event)
        with require_raises(UnibusError, sentence="waiting for what is not settled"):
            held.raw.wait_settled(bench.timing.quiet_s)
        VERBS[name](held)
        with require_quiet(f"waiting for a {name}"):
            outcome = held.raw.wait_settled(bench.timing.patience_s)
        require_equal(OutcomeKind.SETTLED, outcome.kind, f"what became of a {name}", held.event)
        require_equal(outcome.kind, _kind(held), f"what the delivery says of a {name}", held.event)
        if name in ("nack", "release"):
            (again,) = consumer.take()
            again.ack()


def _is_given(event: Event, consumer: RecordingConsumer, of: Collection[str] | None) -> bool:
    is_theirs = event.kind is Kind.DELIVER and event.process == consumer.name
    return is_theirs and (of is None or event.message in of)


def _kind(held: Held) -> OutcomeKind | None:
    outcome = held.raw.outcome
    return None if outcome is None else outcome.kind


@clause("ACK-56")
def test_deliveries_are_settled_on_any_thread(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(100)
    consumer = bench.consumer(subscription, max_unsettled=20)
    again: set[str] = set()

    def handle(held: Held) -> None:
        if held.event.seq % 3 or held.message in again:
            pool.submit(held.ack)
        else:
            again.add(held.message)
            pool.submit(held.release)

    with ThreadPoolExecutor(4) as pool:
        reached = bench.drain(consumer, handler=handle)
    consumer.settled()

    bench.judge(subscription, loss, duplicate, exclusivity, fencing)
    assert again
    assert reached


@clause("ACK-57")
def test_what_was_handed_out_at_most_once_never_comes_again(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(20)
    tether = tethered(bench)
    consumer = tether.consumer(subscription, delivery="at_most_once")
    held = consumer.take(10)
    tether.tear()
    for each in held:
        each.ack()  # says nothing: it was settled before
    consumer.close()
    heir = bench.consumer(subscription)
    reached = bench.drain(heir, quiet_s=bench.timing.quiet_s)

    seen = {each.message for each in held}
    twice = [each for each in bench.recorder.history.events if _is_given(each, heir, seen)]
    require(not twice, "what was handed out at most once came again", *twice[:3])
    bench.judge(subscription, loss)
    assert len(held) == 10
    assert reached


@clause("ACK-58")
def test_at_most_once_leaves_nothing_to_settle(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send()
    consumer = bench.consumer(subscription, delivery="at_most_once")
    (held,) = consumer.take()
    for name in verbs(bench):
        if name != "ack":
            with require_raises(UnsupportedError, sentence=f"{name} of what was settled before"):
                getattr(held.raw, name)()
    with require_quiet("acking what was settled before"):
        held.ack()


@clause("ACK-59")
def test_a_flush_says_once_that_something_came_too_late(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(3)
    tether = tethered(bench)
    consumer = tether.consumer(subscription)
    old = consumer.take(3)
    tether.tear()
    new = consumer.take(3, timeout_s=bench.timing.recovery_s)
    old[0].raw.ack()
    for each in new:
        each.ack()

    with require_raises(LeaseLostError, sentence="flushing what came too late"):
        consumer.raw.flush(bench.timing.patience_s)
    with require_quiet("flushing when everything came in time"):
        consumer.raw.flush(bench.timing.patience_s)
    assert len(new) == 3


@clause("ACK-60")
def test_a_close_hands_over_what_was_settled(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(20)
    first = bench.consumer(subscription)
    held = first.take(20)
    for each in held:
        each.ack()
    first.close()
    later = bench.consumer(subscription, bus=bench.bus())
    reached = bench.drain(later, quiet_s=bench.timing.quiet_s)

    twice = [each for each in bench.recorder.history.events if _is_given(each, later, None)]
    require(not twice, "what was acked before a close came again", *twice[:3])
    assert len(held) == 20
    assert reached


@clause("ACK-61")
def test_an_ack_leaves_by_itself(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(5)
    held = bench.consumer(subscription).take(5)
    held[0].ack()
    has_left = bench.eventually(lambda: held[0].raw.outcome is not None)

    require(has_left, "an ack stays in the program while it does nothing else", held[0].event)


@clause("ACK-62")
def test_a_settlement_after_the_close_has_no_effect_and_says_so(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(3)
    first = bench.consumer(subscription)
    held = first.take(3)
    first.close()
    for each in held:
        with require_quiet("acking after the consumer was closed"):
            each.raw.ack()
    later = bench.consumer(subscription)
    reached = bench.drain(later)

    kinds = [_kind(each) for each in held]
    require_equal([OutcomeKind.LEASE_LOST] * 3, kinds, "what becomes of an ack after the close")
    bench.judge(subscription, loss, duplicate)
    assert reached
