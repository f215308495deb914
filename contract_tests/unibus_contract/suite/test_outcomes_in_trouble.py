"""What the outcome of a publish says when the broker or the network is in trouble."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from unibus import Bus
from unibus.errors import UnavailableError
from unibus.outcome import OutcomeKind
from unibus.specs import Subscription
from unibus_contract.checkers import certainty, duplicate, fidelity, loss, phantom
from unibus_contract.consuming import RecordingConsumer
from unibus_contract.harness import Cut
from unibus_contract.judgement import require, require_equal
from unibus_contract.premises import closed_quietly
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_LONG_S = 1.0


@contextmanager
def _through(bench: Bench, cut: Cut) -> Iterator[Bus]:
    """Provide a bus through *cut*, closed before that is."""
    bus = bench.bus(url=cut.url)
    try:
        yield bus
    finally:
        closed_quietly(bus)


@clause("PUB-20")
def test_the_weakest_level_waits_for_no_answer(bench: Bench) -> None:
    subscription = bench.subscription()
    with bench.faults.cut(bench.url) as cut, _through(bench, cut) as bus:
        weak = bus.producer(subscription.topic, acks="none")
        strong = bus.producer(subscription.topic)
        for each in (weak, strong):
            each.publish(b"the way is open").wait(bench.timing.patience_s)
        bench.recorder.fault("swallow answers")
        cut.swallow_answers()
        strongly, weakly = strong.publish(b"all"), weak.publish(b"none")
        weak_end = bench.eventually(lambda: weakly.outcome is not None)
        is_undecided = strongly.outcome is None
        cut.heal()
        left = strongly.wait(bench.timing.recovery_s)

    require(weak_end, "acks='none' waits for an answer")
    require(is_undecided, f"no answer could come, and the strongest level is {left}")
    require_equal(OutcomeKind.UNKNOWN, left.kind, "the connection broke before the answer")


@clause("PUB-52")
def test_what_was_accepted_survives_a_restart(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(50)
    bench.recorder.fault("restart")
    bench.faults.restart()
    reached = bench.drain(_opened(bench, subscription))

    bench.judge(subscription, loss, duplicate, fidelity)
    assert reached


def _opened(bench: Bench, subscription: Subscription) -> RecordingConsumer:
    """Return a consumer, as soon as the broker that came up again has all of it at hand."""
    opened: list[RecordingConsumer] = []

    def is_open() -> bool:
        try:
            opened.append(bench.consumer(subscription, bus=bench.bus()))
        except UnavailableError:
            return False
        return True

    bench.eventually(is_open, within_s=bench.timing.recovery_s)
    assert opened, "nothing can be received after a restart"
    return opened[0]


@clause("PUB-54")
def test_what_was_on_its_way_when_the_connection_broke(bench: Bench) -> None:
    subscription = bench.subscription()
    consumer = bench.consumer(subscription)
    with bench.faults.cut(bench.url) as cut, _through(bench, cut) as bus:
        producer = bench.producer(subscription.topic, bus=bus)
        producer.send(3)
        bench.recorder.fault("swallow answers")
        cut.swallow_answers()
        there = [producer.publish() for _ in range(5)]
        held = consumer.take(8)
        bench.recorder.fault("swallow requests, then break off")
        cut.swallow_requests()
        under_way = [producer.publish() for _ in range(5)]
        cut.break_off()
        producer.confirm(bench.timing.recovery_s)
        producer.send(3)
        producer.close()
    for each in held:
        each.ack()
    reached = bench.drain(consumer)

    for sent in there:
        kind = sent.receipt.wait(0.0).kind
        require_equal(OutcomeKind.UNKNOWN, kind, f"the answer for {sent.message} was lost")
    bench.judge(subscription, loss, duplicate, phantom, certainty)
    assert reached
    assert under_way


@clause("PUB-57")
def test_publishing_waits_out_an_alarm(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic, timeout_s=_LONG_S)
    consumer = bench.consumer(subscription)
    producer.send(3)
    bench.recorder.fault("alarm")
    with bench.faults.alarm():
        stopped = [producer.publish() for _ in range(3)]
        came = consumer.take(3)
        for each in came:
            each.ack()
        producer.confirm(bench.timing.recovery_s)
        ends = [each.receipt.wait(0.0) for each in stopped]
    back = bench.eventually(
        lambda: producer.send()[0].receipt.wait(0.0).kind is OutcomeKind.ACCEPTED,
        within_s=bench.timing.recovery_s,
    )
    reached = bench.drain(consumer)

    require_equal(3, len(came), "how many of three messages came during an alarm")
    for sent, end in zip(stopped, ends, strict=True):
        is_open = end.kind is not OutcomeKind.ACCEPTED and end.retryable
        require(is_open, f"the broker took nothing, and {sent.message} is {end}")
    require(back, "the alarm is over, and nothing is accepted")
    bench.judge(subscription, loss, phantom, certainty, duplicate)
    assert reached
