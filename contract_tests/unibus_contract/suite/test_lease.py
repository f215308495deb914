"""Leases: kept, extended, over and lost."""

from __future__ import annotations

from unibus.errors import LeaseLostError, UnibusError, UnsupportedError
from unibus.outcome import OutcomeKind
from unibus.specs import Subscription
from unibus_contract.checkers import duplicate, exclusivity, fencing, loss
from unibus_contract.consuming import Held, RecordingConsumer
from unibus_contract.judgement import require, require_equal, require_quiet, require_raises
from unibus_contract.registry import clause
from unibus_contract.suite.test_settlement import VERBS, verbs
from unibus_contract.tether import tethered
from unibus_contract.workbench import Bench

Lost = tuple[RecordingConsumer, list[Held], list[Held]]


def _kind(held: Held) -> OutcomeKind | None:
    outcome = held.raw.outcome
    return None if outcome is None else outcome.kind


def _lose(bench: Bench, subscription: Subscription, count: int) -> Lost:
    """Return a consumer, the deliveries that it lost, and the same as it got them again."""
    bench.producer(subscription.topic).send(count)
    tether = tethered(bench)
    consumer = tether.consumer(subscription)
    old = consumer.take(count)
    tether.tear()
    new = consumer.take(count, timeout_s=bench.timing.recovery_s)
    assert len(old) == len(new) == count
    return consumer, old, new


@clause("ACK-50")
def test_a_late_ack_does_not_settle_the_next_delivery(bench: Bench) -> None:
    subscription = bench.subscription()
    consumer, old, _ = _lose(bench, subscription, 5)
    for each in old:
        each.ack()
    consumer.settled()
    consumer.close()
    reached = bench.drain(bench.consumer(subscription), quiet_s=bench.timing.quiet_s)

    bench.judge(subscription, loss, fencing)
    assert reached


@clause("ACK-51")
def test_a_late_settlement_says_that_the_lease_was_lost(bench: Bench) -> None:
    names = verbs(bench)
    _, old, _ = _lose(bench, bench.subscription(), len(names))
    for name, each in zip(names, old, strict=True):
        with require_quiet(f"a {name} that comes too late"):
            VERBS[name](each)
            outcome = each.raw.wait_settled(bench.timing.patience_s)

        require_equal(OutcomeKind.LEASE_LOST, outcome.kind, f"a {name} too late", each.event)
        require(
            isinstance(outcome.cause, LeaseLostError),
            f"a {name} that came too late has the cause {outcome.cause!r}",
        )


@clause("ACK-53")
def test_what_a_broken_connection_swallowed_is_not_said_to_be_settled(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(6)
    with bench.faults.cut(bench.url) as cut:
        bus = bench.bus(url=cut.url)
        consumer = bench.consumer(subscription, bus=bus)
        held = consumer.take(6)
        cut.swallow_requests()
        for each in held[:3]:
            each.ack()
        with require_raises(UnibusError, sentence="flushing into a connection that swallows"):
            consumer.raw.flush(bench.timing.quiet_s)
        cut.break_off()
        has_ended = bench.eventually(lambda: all(each.raw.outcome for each in held))
        consumer.settled()
        consumer.crashed()
        reached = bench.drain(consumer)
        bus.close()

    settled = [each.event for each in held if _kind(each) is OutcomeKind.SETTLED]
    require(not settled, "what never arrived is said to be settled", *settled)
    require(has_ended, "a delivery of a broken connection has no outcome", held[0].event)
    bench.judge(subscription, loss)
    assert reached


@clause("ACK-54")
def test_acks_do_not_reach_over_what_is_unsettled(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(10)
    tether = tethered(bench)
    consumer = tether.consumer(subscription)
    held = consumer.take(10)
    for index in (1, 3, 5, 6, 9):
        held[index].ack()
    consumer.settled()
    tether.tear()
    reached = bench.drain(consumer)

    bench.judge(subscription, loss)
    assert len(held) == 10
    assert reached


@clause("RED-11")
def test_a_delivery_held_past_its_lease_comes_again(bench: Bench) -> None:
    lease_s = bench.timing.lease_s / 2
    subscription = bench.subscription(lease_s=lease_s)
    bench.producer(subscription.topic).send()
    first = bench.consumer(subscription, renew_leases=False)
    (held,) = first.take()
    second = bench.consumer(subscription, bus=bench.bus())
    again = second.take(timeout_s=lease_s + bench.timing.patience_s)
    for each in again:
        each.ack()
    reached = bench.drain(second)

    bench.judge(subscription, exclusivity, duplicate, loss)
    require_equal(1, len(again), "how often it came again", held.event)
    assert reached


@clause("RED-12")
def test_a_lease_is_renewed_while_a_handler_works(bench: Bench) -> None:
    lease_s = bench.timing.lease_s / 2
    subscription = bench.subscription(lease_s=lease_s)
    bench.producer(subscription.topic).send(3)
    first = bench.consumer(subscription)
    held = first.take(3)
    second = bench.consumer(subscription, bus=bench.bus())
    is_kept = second.is_quiet(2.5 * lease_s)
    for each in held:
        each.ack()
    first.settled()

    require(is_kept, f"a lease of {lease_s:g} s was not renewed", held[0].event)
    kinds = [_kind(each) for each in held]
    require_equal([OutcomeKind.SETTLED] * 3, kinds, "what becomes of an ack after long work")


@clause("RED-13")
def test_a_delivery_says_that_its_lease_has_ended(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send()
    tether = tethered(bench)
    (held,) = tether.consumer(subscription).take()
    tether.tear()
    is_told = bench.eventually(lambda: _kind(held) is OutcomeKind.LEASE_LOST)

    require(is_told, f"the outcome of a lost delivery is {held.raw.outcome}", held.event)
    if bench.capabilities.lease.value.extendable:
        with require_raises(LeaseLostError, sentence="extending a lease that has ended"):
            held.raw.extend(bench.timing.lease_s)


@clause("RED-52")
def test_a_lease_is_extended_again_and_again(bench: Bench) -> None:
    lease_s = bench.timing.lease_s / 2
    subscription = bench.subscription(lease_s=lease_s)
    bench.producer(subscription.topic).send()
    first = bench.consumer(subscription, renew_leases=False)
    (held,) = first.take()
    second = bench.consumer(subscription, bus=bench.bus())
    for _ in range(4):
        with require_quiet("extending a lease that holds"):
            held.extend(lease_s)
        is_kept = second.is_quiet(lease_s / 2)
        require(is_kept, f"a lease was not extended by {lease_s:g} s", held.event)
    longest_s = bench.capabilities.lease.value.max_s
    with require_raises(UnsupportedError, sentence="extending a lease beyond the limit"):
        held.raw.extend(2 * longest_s if longest_s != float("inf") else -1.0)
    again = second.take(timeout_s=lease_s + bench.timing.patience_s)
    require_equal(1, len(again), "how often it comes once it is not extended", held.event)


@clause("RED-53")
def test_only_who_holds_the_lease_settles(bench: Bench) -> None:
    lease_s = bench.timing.lease_s / 2
    subscription = bench.subscription(lease_s=lease_s)
    bench.producer(subscription.topic).send(3)
    slow = bench.consumer(subscription, renew_leases=False)
    old = slow.take(3)
    quick = bench.consumer(subscription, bus=bench.bus())
    new = quick.take(3, timeout_s=lease_s + bench.timing.patience_s)
    for each in old:
        each.ack()
    slow.settled()
    for each in new:
        each.ack()
    reached = bench.drain(quick, quiet_s=bench.timing.quiet_s)

    bench.judge(subscription, fencing, duplicate, exclusivity)
    assert len(new) == 3
    assert reached


@clause("RED-54")
def test_what_has_aged_in_a_buffer_is_not_handed_out(bench: Bench) -> None:
    lease_s = bench.timing.lease_s / 2
    subscription = bench.subscription(lease_s=lease_s)
    bench.producer(subscription.topic).send(10)
    slow = bench.consumer(subscription, renew_leases=False)
    (first,) = slow.take()
    quick = bench.consumer(subscription, bus=bench.bus())
    taken = quick.take(10, timeout_s=lease_s + bench.timing.patience_s)
    for each in taken:
        each.ack()
    quick.settled()
    late = slow.take(1, timeout_s=bench.timing.quiet_s)

    require(not late, "a delivery was handed out after its lease", *[each.event for each in late])
    bench.judge(subscription, duplicate, fencing)
    assert first.message in {each.message for each in taken}


@clause("RED-56")
def test_a_late_nack_changes_nothing(bench: Bench) -> None:
    names = [name for name in verbs(bench) if name != "ack"]
    subscription = bench.subscription()
    consumer, old, new = _lose(bench, subscription, 2 * len(names))
    half = len(names)
    for name, each in zip(names, old[:half], strict=True):
        VERBS[name](each)
    for each in new:
        with require_quiet("acking what somebody else was too late for"):
            each.ack()
    for name, each in zip(names, old[half:], strict=True):
        VERBS[name](each)
    consumer.settled()
    consumer.close()
    reached = bench.drain(bench.consumer(subscription), quiet_s=bench.timing.quiet_s)

    bench.judge(subscription, duplicate, fencing, loss)
    assert reached
