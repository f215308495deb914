from __future__ import annotations

from dataclasses import replace

from fakes_receive import CAPABILITIES, SUBSCRIPTION, FakeIncoming, FakeReceiver, make

from unibus import spi
from unibus.clock import ManualClock
from unibus.consumer import Consumer

FIXED = replace(CAPABILITIES, lease=spi.native(spi.LeaseLimits(max_s=30.0, default_s=30.0)))


def extensions(receiver: FakeReceiver) -> list[tuple[int, int, float]]:
    return [
        (each.first, each.count, each.delay_s)
        for each in receiver.verdicts
        if each.kind is spi.VerdictKind.EXTEND
    ]


def prolonging(receiver: FakeReceiver, incoming: FakeIncoming, clock: ManualClock) -> None:
    """Have the broker do what it is asked."""

    def extend() -> None:
        if receiver.verdicts and receiver.verdicts[-1].kind is spi.VerdictKind.EXTEND:
            incoming.cuts[0].lease.deadline = clock.now() + receiver.verdicts[-1].delay_s

    receiver.on_settle = extend


def receiving(
    capabilities: spi.Capabilities = CAPABILITIES, *, renew_leases: bool = True
) -> tuple[ManualClock, Consumer, FakeReceiver, FakeIncoming]:
    clock = ManualClock()
    consumer, receiver = make(capabilities=capabilities, clock=clock, renew_leases=renew_leases)
    incoming = receiver.bring(*[b"x"] * 3, deadline=30.0)
    return clock, consumer, receiver, incoming


def test_a_lease_is_renewed_at_half_of_its_time_while_something_is_unsettled() -> None:
    clock, consumer, receiver, incoming = receiving()
    prolonging(receiver, incoming, clock)
    batch = consumer.receive(2)
    batch[0].ack()

    clock.advance(14.9)
    assert extensions(receiver) == []
    clock.advance(0.2)
    assert extensions(receiver) == [(1, 2, 30.0)]
    clock.advance(60.0)
    assert extensions(receiver) == [(1, 2, 30.0)] * 5
    assert incoming.cuts[0].lease.stopping is False


def test_a_settled_batch_is_not_renewed() -> None:
    clock, consumer, receiver, _ = receiving()
    consumer.receive(3).ack()

    clock.advance(100.0)

    assert extensions(receiver) == []
    assert clock.next_call_at() is None


def test_an_extension_that_is_not_answered_is_tried_again_before_the_end() -> None:
    clock, consumer, receiver, _ = receiving()
    consumer.receive(3)

    clock.advance(29.0)

    assert len(extensions(receiver)) == 4


def test_renewal_can_be_switched_off() -> None:
    clock, consumer, receiver, _ = receiving(renew_leases=False)
    consumer.receive(3)

    clock.advance(29.0)

    assert extensions(receiver) == []


def test_nothing_is_started_under_a_lease_that_ran_out() -> None:
    clock, consumer, receiver, _ = receiving(FIXED)
    consumer.receive(1)

    clock.advance(30.1)
    receiver.bring(b"new")

    assert list(consumer.receive(9).bodies) == [b"new"]
    assert extensions(receiver) == []


def test_the_lease_of_the_subscription_is_what_it_is_renewed_for() -> None:
    clock = ManualClock()
    consumer, receiver = make(clock=clock, spec=replace(SUBSCRIPTION, lease_s=8.0))
    receiver.bring(b"x", deadline=8.0)
    consumer.receive(1)

    clock.advance(4.5)

    assert extensions(receiver) == [(0, 1, 8.0)]


def test_a_closed_consumer_renews_nothing() -> None:
    clock, consumer, receiver, _ = receiving()
    consumer.receive(1)
    consumer.close()

    clock.advance(29.0)

    assert extensions(receiver) == []
