"""What the outcome of a publish says when not all is well."""

from __future__ import annotations

import time

from unibus.errors import (
    DeadlineExceededError,
    NotFoundError,
    OverloadedError,
    PublishFailedError,
    UnavailableError,
    UnibusError,
    UnroutableError,
)
from unibus.outcome import Outcome, OutcomeKind
from unibus.specs import Exact, Topic
from unibus_contract.checkers import certainty, duplicate, fidelity, loss, phantom
from unibus_contract.gate import gated
from unibus_contract.history import Kind
from unibus_contract.judgement import require, require_equal, require_raises
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_SHORT_S = 0.3
"""Long enough for a loopback broker, short enough to be waited for."""


def _is_unroutable(outcome: Outcome) -> bool:
    return outcome.kind is OutcomeKind.REJECTED and isinstance(outcome.cause, UnroutableError)


@clause("PUB-10")
def test_what_nobody_wants_is_rejected(bench: Bench) -> None:
    topic = bench.topic()
    subscription = bench.subscribe(
        topic, filter=Exact("wanted"), wants=lambda event: event.routing_key == "wanted"
    )
    producer = bench.producer(topic)
    producer.send(3, routing_key="wanted")
    sent = producer.send(3, routing_key="nobody's")
    reached = bench.drain(bench.consumer(subscription))

    for each in sent:
        outcome = each.receipt.outcome
        assert outcome is not None
        require(_is_unroutable(outcome), f"nobody wants {each.message}, and it is {outcome}")
        require(topic.name in str(outcome.cause), f"{outcome.cause} does not name {topic.name}")
    bench.judge(subscription, loss, phantom)
    assert reached


@clause("PUB-11")
def test_what_nobody_wants_is_accepted(bench: Bench) -> None:
    topic = bench.topic()
    subscription = bench.subscribe(
        topic, filter=Exact("wanted"), wants=lambda event: event.routing_key == "wanted"
    )
    producer = bench.producer(topic)
    sent = [producer.publish(routing_key=key) for key in ("wanted", "nobody's", "wanted")]
    producer.confirm()
    reached = bench.drain(bench.consumer(subscription))

    for each in sent:
        kind = each.receipt.wait(0.0).kind
        require_equal(OutcomeKind.ACCEPTED, kind, f"{each.published.routing_key} was published")
    bench.judge(subscription, loss, phantom)
    assert reached


@clause("PUB-12")
def test_a_topic_that_was_deleted_accepts_nothing(bench: Bench) -> None:
    doomed, kept = bench.subscription(), bench.subscription()
    producer, other = bench.producer(doomed.topic), bench.producer(kept.topic)
    producer.send()
    other.send()
    bench.main.topology.delete(doomed, doomed.topic)

    def publish() -> UnibusError | None:
        try:
            return producer.raw.publish(b"too late").wait(bench.timing.patience_s).cause
        except UnibusError as error:
            return error

    first = last = publish()

    def is_told() -> bool:
        nonlocal last
        last = publish()
        return isinstance(last, NotFoundError)

    bench.eventually(is_told)
    other.send()
    reached = bench.drain(bench.consumer(kept))

    require(first is not None, f"{doomed.topic.name} was deleted and accepts")
    require(isinstance(last, NotFoundError), f"{doomed.topic.name} was deleted: {last!r}")
    require(doomed.topic.name in str(last), f"{last} does not name {doomed.topic.name}")
    bench.judge(kept, loss)
    assert reached


@clause("PUB-50")
def test_an_answer_that_does_not_come_leaves_it_unknown(bench: Bench) -> None:
    subscription = bench.subscription()
    bus, gate = gated(bench)
    producer = bench.producer(subscription.topic, bus=bus, timeout_s=_SHORT_S)
    with gate.mute():
        sent = producer.send(3)
    reached = bench.drain(bench.consumer(subscription))

    for each in sent:
        outcome = each.receipt.wait(0.0)
        require_equal(OutcomeKind.UNKNOWN, outcome.kind, f"no answer came for {each.message}")
        require(isinstance(outcome.cause, DeadlineExceededError), f"{outcome!r} is no deadline")
        late = each.receipt.late_outcome
        require(late is not None, f"the answer for {each.message} came late and is nowhere")
    bench.judge(subscription, loss, duplicate, phantom, fidelity)
    delivered = {each.message for each in bench.recorder.history.of(Kind.DELIVER)}
    assert reached
    assert delivered == {each.message for each in sent}


@clause("PUB-51")
def test_what_failed_for_certain_never_comes(bench: Bench) -> None:
    subscription = bench.subscription()
    bus, gate = gated(bench)
    producer = bench.producer(subscription.topic, bus=bus, timeout_s=_SHORT_S)
    with gate.held():
        failed = producer.send(3)
    producer.send(3)
    reached = bench.drain(bench.consumer(subscription), quiet_s=bench.timing.quiet_s)

    for each in failed:
        outcome = each.receipt.wait(0.0)
        require_equal(OutcomeKind.REJECTED, outcome.kind, f"{each.message} was not handed over")
        require(isinstance(outcome.cause, UnavailableError), f"{outcome!r} does not say so")
    bench.judge(subscription, phantom, certainty, loss, duplicate)
    assert reached


@clause("PUB-53")
def test_the_outcome_is_the_declared_one_whyever_nobody_takes_it(bench: Bench) -> None:
    promises = bench.profile.capabilities
    is_told = promises.unroutable.value == "error" and bench.profile.mode != "stream"

    def outcome(topic: Topic, why: str) -> None:
        receipt = bench.producer(topic).raw.publish(b"nobody's", routing_key="nobody's")
        found = receipt.wait(bench.timing.patience_s)
        is_right = _is_unroutable(found) if is_told else found.kind is OutcomeKind.ACCEPTED
        require(is_right, f"{why}, unroutable is declared {promises.unroutable.value}: {found}")

    lonely, left = bench.topic(), bench.subscription()
    bench.declare(lonely)
    bench.main.topology.delete(left)
    outcome(lonely, "the topic has no subscription")
    outcome(left.topic, "its only subscription was deleted")
    if promises.filter_exact:
        picky = bench.subscription(filter=Exact("wanted"))
        outcome(picky.topic, "its only subscription wants others")


@clause("PUB-55")
def test_a_full_window_refuses_after_its_time(bench: Bench) -> None:
    subscription = bench.subscription()
    bus, gate = gated(bench)
    producer = bench.producer(subscription.topic, bus=bus, window=8, timeout_s=_SHORT_S)
    with gate.mute():
        for _ in range(8):
            producer.publish()
        began = time.monotonic()
        with require_raises(OverloadedError, sentence="one more than the window has room for"):
            producer.publish()
        waited = time.monotonic() - began
        surplus = producer.raw.publish_many([b"surplus", b"surplus"]).wait(bench.timing.patience_s)
        producer.confirm()
    reached = bench.drain(bench.consumer(subscription), quiet_s=bench.timing.quiet_s)

    require(waited >= _SHORT_S, f"publish gave up after {waited:.3f} s, not after {_SHORT_S} s")
    for each in surplus:
        is_overload = isinstance(each.cause, OverloadedError)
        require(is_overload, f"it did not fit into the window and is {each}")
    bench.judge(subscription, phantom, certainty, duplicate)
    assert reached


@clause("PUB-56")
def test_flush_and_close_keep_to_their_time(bench: Bench) -> None:
    subscription = bench.subscription()
    bus, gate = gated(bench)
    producer = bench.producer(subscription.topic, bus=bus)
    with gate.mute():
        sent = [producer.publish() for _ in range(7)]
        began = time.monotonic()
        with require_raises(DeadlineExceededError, sentence="flush without answers", saying=["7"]):
            producer.raw.flush(_SHORT_S)
        flushed = time.monotonic()
        with require_raises(PublishFailedError, sentence="close without answers", saying=["7"]):
            producer.close(_SHORT_S)
        closed = time.monotonic()
    allowed = _SHORT_S + bench.timing.patience_s

    for what, took in (("flush", flushed - began), ("close", closed - flushed)):
        require(took <= allowed, f"{what}({_SHORT_S}) took {took:.3f} s")
    for each in sent:
        outcome = each.receipt.outcome
        is_unknown = outcome is not None and outcome.kind is OutcomeKind.UNKNOWN
        require(is_unknown, f"{each.message} was sent, no answer came, and it is {outcome}")
