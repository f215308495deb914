"""Several consumers of one subscription, in calm."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial

from unibus.capabilities import Ordering
from unibus_contract.checkers import duplicate, exclusivity, loss, order, phantom
from unibus_contract.consuming import Handler, Held, RecordingConsumer
from unibus_contract.history import Kind
from unibus_contract.judgement import require, require_equal
from unibus_contract.racing import at_once
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench


@clause("GRP-01")
def test_consumers_share_the_messages_of_their_subscription(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(24)
    meeting = _meeting(3, bench.timing.patience_s)
    with bench.crew(subscription, 3, handler=meeting, max_unsettled=4) as crew:
        reached = crew.drain(bench.end_of(subscription.name))
    busy = {event.process for event in bench.recorder.history.of(Kind.DELIVER)}

    require_equal({each.name for each in crew.members}, busy, "the consumers that got a message")
    bench.judge(subscription, loss, phantom)
    assert reached


@clause("GRP-02")
def test_no_message_is_given_to_two_consumers(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    with bench.crew(subscription, 4, max_unsettled=8) as crew:
        for _ in range(5):
            producer.send_batch([{}] * 20)
            producer.send(10)
        reached = crew.drain(bench.end_of(subscription.name), bench.timing.quiet_s)

    bench.judge(subscription, exclusivity, duplicate)
    assert reached


@clause("GRP-03")
def test_consumers_of_another_subscription_take_nothing_away(bench: Bench) -> None:
    topic = bench.topic()
    one, other = bench.subscribe(topic), bench.subscribe(topic)
    with bench.crew(one, 2, max_unsettled=4) as ones, bench.crew(other, 2) as others:
        bench.producer(topic).send(30)
        reached = [
            crew.drain(bench.end_of(each.name)) for crew, each in ((ones, one), (others, other))
        ]

    for each in (one, other):
        bench.judge(each, loss, duplicate, exclusivity)
    assert all(reached)


@clause("GRP-08")
def test_a_consumer_with_nothing_to_do_takes_over_later(bench: Bench) -> None:
    subscription = bench.subscription(ordering="topic")
    bench.producer(subscription.topic).send(6)
    working = bench.consumer(subscription, bus=bench.bus())
    (first,) = working.take()
    waiting = bench.consumer(subscription, bus=bench.bus())
    is_quiet = waiting.is_quiet()
    first.ack()
    working.close()
    reached = bench.drain(waiting)

    require(is_quiet, "it got a message behind one that is held, where the topic has an order")
    bench.judge(subscription, loss, duplicate, order(by="topic"))
    assert reached


@clause("GRP-09")
def test_scaling_up_and_down_loses_and_repeats_nothing(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    reached = []
    for members in (1, 3, 1):
        producer.send(20)
        buses = [bench.bus() for _ in range(members)]
        consumers = [bench.consumer(subscription, bus=bus) for bus in buses]
        reached.append(bench.drain(*consumers))
        for consumer, bus in zip(consumers, buses, strict=True):
            consumer.close()
            bus.close()

    bench.judge(subscription, loss, duplicate, exclusivity)
    assert all(reached)


@clause("GRP-54")
def test_who_says_that_it_is_idle_gets_nothing_and_all_others_do(bench: Bench) -> None:
    can_stand_by = bench.capabilities.ordering.value is Ordering.TOPIC
    subscription = bench.subscription(ordering="topic" if can_stand_by else "none")
    competing = bench.capabilities.competing.value
    members = [
        bench.consumer(subscription, bus=bench.bus(), max_unsettled=1)
        for _ in range(2 if competing is None else min(2, competing))
    ]
    producer = bench.producer(subscription.topic)
    producer.send()
    holder, held = _first_served(bench, members)
    others = [each for each in members if each is not holder]
    require(not holder.raw.is_idle, "who has a message says that it is idle", held.event)
    held.ack()
    holder.settled()
    holder.raw.pause()
    producer.send(8)  # something for every lane
    for each in others:
        if each.raw.is_idle:
            require(each.is_quiet(), "a consumer that says it is idle got a message")
        else:
            got = each.take()
            require(got, "a consumer that does not say it is idle got nothing")
            got[0].ack()
    holder.close()
    heir = others[0] if others else bench.consumer(subscription, bus=bench.bus())
    reached = bench.drain(heir)
    is_at_work = bench.eventually(lambda: not heir.raw.is_idle)

    require(is_at_work, "the only consumer that is left says that it is idle")
    bench.judge(subscription, loss)
    assert reached


@clause("GRP-55")
def test_a_slow_consumer_holds_back_no_more_than_it_may(bench: Bench) -> None:
    subscription = bench.subscription()
    slow = bench.consumer(subscription, bus=bench.bus(), max_unsettled=2)
    bench.producer(subscription.topic).send(20)
    held = slow.take(2)
    quick = bench.consumer(subscription, bus=bench.bus())
    rest = quick.take(18)
    for each in (*held, *rest):
        each.ack()
    reached = bench.drain(slow, quick)

    require_equal(18, len(rest), "messages that the other one got")
    bench.judge(subscription, loss, duplicate, exclusivity)
    assert reached


@clause("GRP-57")
def test_a_subscription_declared_by_many_at_once_is_one(bench: Bench) -> None:
    topic = bench.topic()
    subscription = bench.undeclared(topic)
    bench.sweep(topic, subscription)
    buses = [bench.bus() for _ in range(4)]
    raised = at_once(*(partial(bus.topology.apply, topic, subscription) for bus in buses))
    bench.expect(subscription)
    bench.producer(topic).send(10)
    reached = bench.drain(bench.consumer(subscription), quiet_s=bench.timing.quiet_s)

    require_equal([], raised, "what declaring it at once raises")
    bench.judge(subscription, loss, duplicate, exclusivity)
    assert reached


def _meeting(members: int, patience_s: float) -> Handler:
    """Return a handler that acks once every consumer has a delivery, and at once from then on."""
    meeting = threading.Barrier(members)
    came: set[str] = set()

    def handler(held: Held) -> None:
        if held.event.process not in came and not meeting.broken:
            came.add(held.event.process)
            with suppress(threading.BrokenBarrierError):  # somebody got nothing: it is seen who
                meeting.wait(patience_s)
        held.ack()

    return handler


def _first_served(bench: Bench, members: list[RecordingConsumer]) -> tuple[RecordingConsumer, Held]:
    found: list[tuple[RecordingConsumer, Held]] = []

    def look() -> bool:
        for each in members:
            found.extend((each, held) for held in each.receive(1, timeout_s=0.0))
        return bool(found)

    assert bench.eventually(look), "one of them has the only message"
    return found[0]
