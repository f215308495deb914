"""Interrupting the way to the broker."""

from __future__ import annotations

from time import monotonic

from unibus.errors import DeadlineExceededError, UnavailableError
from unibus.outcome import OutcomeKind
from unibus_contract.checkers import loss, phantom
from unibus_contract.judgement import require, require_raises
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_CONNECT_S = 1.0
_PAUSE_S = 1.0


def _back_s(bench: Bench) -> float:
    """Return after how many seconds a way that is open again is in use."""
    return 2 * bench.timing.patience_s


@clause("LIF-16")
def test_producer_and_consumer_go_on_after_the_way_was_closed(bench: Bench) -> None:
    subscription = bench.subscription()
    with bench.faults.cut(bench.url) as cut:
        bus = bench.bus(url=cut.url)
        producer = bench.producer(subscription.topic, bus=bus)
        consumer = bench.consumer(subscription, bus=bus)
        producer.send(10)
        held = consumer.take(5)
        bench.recorder.fault("the way is closed")
        cut.refuse()
        for each in held:
            each.ack()
        for _ in range(10):
            producer.publish()
        producer.confirm(_PAUSE_S)
        bench.recorder.fault("the way is open")
        cut.heal()
        sent = [producer.publish() for _ in range(10)]
        producer.confirm(_back_s(bench))
        came = consumer.take(timeout_s=_back_s(bench))
        for each in came:
            each.ack()
        reached = bench.drain(consumer)
        outcomes = [each.receipt.outcome for each in sent]

    refused = [each for each in outcomes if each is None or each.kind is not OutcomeKind.ACCEPTED]
    require(not refused, f"{len(refused)} of 10 published afterwards: {refused[:1]}")
    require(came, "nothing was received after the way was open again")
    bench.judge(subscription, loss, phantom)
    assert reached


@clause("LIF-17")
def test_both_go_on_after_the_broker_has_ended_every_connection(bench: Bench) -> None:
    subscription = bench.subscription()
    producer, consumer = bench.producer(subscription.topic), bench.consumer(subscription)
    producer.send(10)
    held = consumer.take(5)
    bench.recorder.fault("the broker ends every connection")
    bench.faults.disconnect()
    for each in held:
        each.ack()
    sent = [producer.publish() for _ in range(10)]
    producer.confirm(_back_s(bench))
    came = consumer.take(timeout_s=_back_s(bench))
    for each in came:
        each.ack()
    reached = bench.drain(consumer)
    outcomes = [each.receipt.outcome for each in sent]

    refused = [each for each in outcomes if each is None or each.kind is OutcomeKind.REJECTED]
    require(not refused, f"{len(refused)} of 10 published afterwards: {refused[:1]}")
    require(came, "nothing was received after the broker had ended the connection")
    bench.judge(subscription, loss, phantom)
    assert reached


@clause("LIF-19")
def test_connecting_where_nobody_answers_fails_in_time(bench: Bench) -> None:
    with bench.faults.cut(bench.url) as cut:
        cut.refuse()
        _require_refused(bench, cut.url, "connecting where nobody answers")
        cut.heal()
        cut.swallow_answers()
        _require_refused(bench, cut.url, "connecting to somebody who says nothing")


def _require_refused(bench: Bench, url: str, what: str) -> None:
    began = monotonic()
    with require_raises(UnavailableError, DeadlineExceededError, sentence=what):
        bench.broker.connect(url, timeout_s=_CONNECT_S).close()
    took_s = monotonic() - began
    limit_s = _CONNECT_S + bench.timing.slack_s
    require(took_s <= limit_s, f"{what} took {took_s:.2f} s, {_CONNECT_S} s were given")


@clause("LIF-51")
def test_an_idle_consumer_receives_after_the_way_was_broken(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    with bench.faults.cut(bench.url) as cut:
        consumer = bench.consumer(subscription, bus=bench.bus(url=cut.url))
        for _ in range(3):
            assert consumer.is_quiet()
            bench.recorder.fault("the way is broken")
            cut.break_off()
            producer.send()
            came = consumer.take(timeout_s=_back_s(bench))
            for each in came:
                each.ack()
            require(len(came) == 1, "an idle consumer is deaf since its connection was broken")
        reached = bench.drain(consumer)

    bench.judge(subscription, loss, phantom)
    assert reached


@clause("LIF-67")
def test_a_connection_that_is_silently_lost_is_replaced(bench: Bench) -> None:
    subscription = bench.subscription()
    witness = bench.producer(subscription.topic)
    with bench.faults.cut(bench.url) as cut:
        bus = bench.bus(url=bench.faults.alert(cut.url))
        producer = bench.producer(subscription.topic, bus=bus)
        consumer = bench.consumer(subscription, bus=bus)
        producer.send(5)
        held = consumer.take(5)
        bench.recorder.fault("every connection is forgotten")
        cut.silence()
        witness.send(5)
        sent = producer.publish()
        came = consumer.take(timeout_s=_back_s(bench))
        for each in came:
            each.ack()
        producer.confirm(_back_s(bench))
        later = producer.send()
        reached = bench.drain(consumer)
        outcomes = [each.receipt.outcome for each in (sent, *later)]

    require(came, "nothing is received since the connection was silently lost")
    require(outcomes[0] is not None, "a publish on a connection that was lost is undecided")
    is_accepted = outcomes[1] is not None and outcomes[1].kind is OutcomeKind.ACCEPTED
    require(is_accepted, f"a publish after the connection was replaced: {outcomes[1]}")
    bench.judge(subscription, loss, phantom)
    assert len(held) == 5
    assert reached
