"""Errors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from unibus.errors import (
    ClosedError,
    MessageRejectedError,
    NotFoundError,
    OverloadedError,
    PublishFailedError,
    UnibusError,
    UnsupportedError,
)
from unibus.outcome import OutcomeKind
from unibus.specs import Subscription, Topic
from unibus_contract.checkers import certainty, duplicate, loss, phantom
from unibus_contract.gate import gated
from unibus_contract.judgement import require, require_equal, require_quiet, require_raises
from unibus_contract.premises import closed_quietly
from unibus_contract.publishing import RecordingProducer, Sent
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_SHORT_S: Final = 0.3
_FEW: Final = 5


@clause("ERR-01")
def test_what_does_not_exist_is_not_found(bench: Bench) -> None:
    mode: Any = "stream" if bench.profile.mode == "stream" else "queue"
    topic = Topic(bench.name())
    subscription = Subscription(bench.name(), topic=topic, mode=mode)
    says = [topic.name]
    with require_raises(NotFoundError, sentence="a producer of no topic", saying=says):
        bench.main.producer(topic)
    with require_raises(NotFoundError, sentence="a consumer of no subscription"):
        bench.main.consumer(subscription)
    found = bench.main.topology.describe(topic, subscription)

    require(not found, f"opening what does not exist has created {found}")


@clause("ERR-03")
def test_what_is_retryable_works_when_it_is_tried_again(bench: Bench) -> None:
    subscription = bench.subscription()
    bus, gate = gated(bench)
    producer = bench.producer(subscription.topic, bus=bus, timeout_s=_SHORT_S)
    with gate.held():
        (not_sent,) = producer.send()
    with gate.mute():
        (unanswered,) = producer.send()
    (again,) = producer.send()
    with suppress(MessageRejectedError):
        producer.raw.publish(b"never", id="")
    promised = bench.profile.capabilities.unroutable.value == "error"
    lonely = bench.topic()
    bench.declare(lonely)
    hopeless = [bench.main.producer(lonely).publish(b"nobody's") for _ in range(2)]
    ends = [each.wait(bench.timing.patience_s) for each in hopeless]

    for sent, is_unknown in ((not_sent, False), (unanswered, True)):
        outcome = sent.receipt.wait(0.0)
        cause = outcome.cause
        require(cause is not None, f"{sent.message} had no time to succeed")
        assert cause is not None
        require(cause.retryable and outcome.retryable, f"{outcome} can be tried again")
        require_equal(is_unknown, cause.outcome_unknown, f"whether {outcome} is unknown")
    require_equal(OutcomeKind.ACCEPTED, again.receipt.wait(0.0).kind, "what was tried again")
    if promised and bench.profile.mode == "queue":
        for each in ends:
            require(not each.retryable, f"{each} said it would be worth another try")
    require(not MessageRejectedError.retryable, "a message that is wrong stays wrong")


@clause("ERR-06")
def test_failures_that_nobody_looked_at_are_raised_once(bench: Bench) -> None:
    subscription = bench.subscription()
    bus, gate = gated(bench)
    producer = bus.producer(subscription.topic, timeout_s=_SHORT_S)
    with gate.held():
        looked_at = producer.publish(b"looked at")
        unseen = [producer.publish(b"unseen") for _ in range(2)]
        looked_at.wait(bench.timing.patience_s)
        flushed = _failures(lambda: producer.flush(bench.timing.patience_s))
        with require_quiet("a second flush, all of it told"):
            producer.flush(bench.timing.patience_s)
        unseen_at_close = producer.publish(b"unseen at close")
        closed = _failures(lambda: producer.close(_SHORT_S))

    require_equal(tuple(unseen), flushed, "what flush raised for")
    require(looked_at not in closed, "what was looked at is raised for again")
    require_equal((unseen_at_close,), closed, "what close raised for")
    kinds = {each.outcome.kind for each in (*unseen, unseen_at_close) if each.outcome}
    require_equal({OutcomeKind.REJECTED}, kinds, "what became of what was never handed over")


def _failures(attempt: Callable[[], object]) -> tuple[object, ...]:
    try:
        attempt()
    except PublishFailedError as error:
        return error.failures
    except UnibusError as error:
        require(condition=False, sentence=f"expected PublishFailedError, got {error!r}")
    require(condition=False, sentence="publishes failed, nobody looked, and nothing is raised")
    return ()


@clause("ERR-08")
def test_what_is_not_managed_is_never_created(bench: Bench) -> None:
    topic = Topic(bench.name(), managed=False)
    topology = bench.main.topology
    for what, attempt in (("plan", topology.plan), ("apply", topology.apply)):
        sentence = f"{what} of what somebody else declares, and has not"
        with require_raises(NotFoundError, sentence=sentence, saying=[topic.name]):
            attempt(topic)
    with require_raises(NotFoundError, sentence="publishing to it", saying=[topic.name]):
        bench.main.producer(topic)
    with require_raises(UnsupportedError, sentence="deleting what is somebody else's"):
        topology.delete(topic)


@clause("ERR-09")
def test_odd_names_are_names_of_different_things(bench: Bench) -> None:
    stem = bench.name()
    suffixes = ("", "~x", "~~x", " /#%20\u017c", "-x", "-X")
    topics = [Topic(f"{stem}{each}") for each in suffixes]
    subscriptions = [bench.subscribe(each) for each in topics]
    for each in topics:
        bench.producer(each).send()
    reached = [bench.drain(bench.consumer(each)) for each in subscriptions]

    for subscription in subscriptions:
        bench.judge(subscription, loss, phantom, duplicate)
    assert all(reached)
    limit = bench.capabilities.max_name_bytes.value
    if limit is not None:
        long = Topic(stem.ljust(limit + 1, "x"))
        with require_raises(UnsupportedError, sentence=f"a name of {limit + 1} bytes"):
            bench.main.topology.apply(long)


@clause("ERR-17")
def test_what_is_published_during_a_close_has_its_true_outcome(bench: Bench) -> None:
    subscription = bench.subscription()
    bus = bench.bus()
    shared = bus.producer(subscription.topic)
    patience_s = bench.timing.patience_s
    producers = [
        RecordingProducer(bench.recorder, shared, subscription.topic.name, patience_s)
        for _ in range(3)
    ]
    sent: list[Sent] = []
    odd: list[UnibusError] = []
    closing, closed = threading.Barrier(len(producers) + 1), threading.Event()

    def work(producer: RecordingProducer) -> None:
        sent.extend(producer.publish() for _ in range(_FEW))
        closing.wait(patience_s)
        left = _FEW
        while left:
            left -= closed.is_set()
            try:
                sent.append(producer.publish())
            except ClosedError:
                break
            except UnibusError as error:
                odd.append(error)
                break
        producer.confirm(patience_s)

    threads = [threading.Thread(target=work, args=(each,)) for each in producers]
    for each in threads:
        each.start()
    closing.wait(patience_s)
    closed_quietly(bus)
    closed.set()
    for each in threads:
        each.join()
    undecided = sum(each.receipt.outcome is None for each in sent)
    reached = bench.drain(bench.consumer(subscription))

    require(not odd, f"publish during a close raised {odd[:1]}")
    require(not undecided, f"the bus is closed, and {undecided} publishes have no outcome")
    bench.judge(subscription, loss, phantom, certainty, duplicate)
    assert reached


@clause("ERR-18")
def test_a_full_subscription_is_an_overload(bench: Bench) -> None:
    subscription = bench.subscription(native=bench.faults.limit(_FEW))
    producer = bench.producer(subscription.topic)
    refused: list[Sent] = []
    for _ in range(10 * _FEW):
        (sent,) = producer.send()
        if sent.receipt.wait(0.0).kind is not OutcomeKind.ACCEPTED:
            refused.append(sent)
        if len(refused) == _FEW:
            break
    consumer = bench.consumer(subscription)
    reached = bench.drain(consumer)
    producer.send(_FEW)
    reached_again = bench.drain(consumer)

    require_equal(_FEW, len(refused), f"{_FEW} messages have room; how many more were refused")
    for each in refused:
        outcome = each.receipt.wait(0.0)
        is_overload = isinstance(outcome.cause, OverloadedError) and outcome.retryable
        require(is_overload, f"{each.message} did not fit and is {outcome!r}")
    bench.judge(subscription, loss, phantom, certainty, duplicate)
    assert reached
    assert reached_again
