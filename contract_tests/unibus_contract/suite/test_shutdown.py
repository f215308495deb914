"""Ending in good order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from unibus.capabilities import Attempts
from unibus.errors import UnibusError
from unibus.outcome import OutcomeKind
from unibus_contract.beside import Beside
from unibus_contract.checkers import Counting, attempts, duplicate, fencing, lifecycle, loss
from unibus_contract.consuming import Held, RecordingConsumer
from unibus_contract.judgement import require, require_equal, require_quiet
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_SHORT_S = 0.3  # of a close that cannot have all the time it needs


@clause("LIF-06")
def test_a_run_that_is_stopped_leaves_what_it_had_not_begun(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(10)
    consumer = bench.consumer(subscription)
    handled: list[str] = []
    stop = threading.Event()

    def handle(held: Held) -> None:
        handled.append(held.message)
        if len(handled) == 3:
            stop.set()

    run = Beside(lambda: consumer.run(handle, stop=stop))
    require(run.ended(bench.timing.patience_s), "run() goes on after its stop event was set")
    consumer.close()
    reached = bench.drain(bench.consumer(subscription, bus=bench.bus()))

    require(run.error is None, f"run() raised {run.error!r}")
    require_equal(3, len(handled), "deliveries handled when the third one stopped the run")
    bench.judge(subscription, loss, duplicate)
    assert reached


class _Stuck:
    """A handler that waits until it is let go, and a consumer that runs it."""

    def __init__(self, bench: Bench, consumer: RecordingConsumer) -> None:
        self.held: Held | None = None
        self._go = threading.Event()
        self._patience_s = bench.timing.patience_s
        bench.handles.callback(self._go.set)
        never = threading.Event()
        self.run = Beside(lambda: consumer.run(self._handle, stop=never))
        assert bench.eventually(lambda: self.held is not None), "the handler was not called"

    def let_go(self) -> None:
        """Let it end, and wait until nobody calls it any more."""
        self._go.set()
        assert self.run.ended(self._patience_s), "run() goes on although its consumer is closed"

    @property
    def outcome(self) -> OutcomeKind | None:
        """What became of its ack."""
        assert self.held is not None, "awaited when it was made"
        outcome = self.held.raw.outcome
        return None if outcome is None else outcome.kind

    def _handle(self, held: Held) -> None:
        self.held = held
        self._go.wait()


@clause("LIF-08")
def test_closing_lets_a_handler_finish_and_settle(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send()
    consumer = bench.consumer(subscription)
    stuck = _Stuck(bench, consumer)
    closing = Beside(consumer.close)
    assert bench.eventually(lambda: closing.waits or closing.ended(0.0))
    was_over = closing.ended(0.0)
    stuck.let_go()
    has_ended = closing.ended(bench.timing.patience_s)
    reached = bench.drain(bench.consumer(subscription, bus=bench.bus()))

    require(not was_over, "close returned while a handler was at work and there was time")
    require(has_ended, "close does not return although the handler has ended")
    kind = stuck.outcome
    require(kind is OutcomeKind.SETTLED, f"the ack of a handler that close has let end: {kind}")
    bench.judge(subscription, loss, duplicate, fencing)
    assert reached


@clause("LIF-09")
def test_what_is_handled_beyond_the_time_of_a_close_comes_again(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send()
    consumer = bench.consumer(subscription)
    stuck = _Stuck(bench, consumer)
    consumer.close(_SHORT_S)
    heir = bench.consumer(subscription, bus=bench.bus())
    again = heir.take()
    stuck.let_go()
    for held in again:
        held.ack()
    reached = bench.drain(heir)

    require_equal(1, len(again), "deliveries of what was being handled when its consumer closed")
    kind = stuck.outcome
    require(kind is OutcomeKind.LEASE_LOST, f"the ack of a handler that close left behind: {kind}")
    bench.judge(subscription, loss, duplicate, fencing)
    assert reached


@clause("LIF-22")
def test_closing_a_producer_sends_what_it_has_taken(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic, bus=bench.bus())
    sent = [producer.publish(size=200) for _ in range(300)]
    with require_quiet("closing a producer whose messages are under way"):
        producer.close()
    outcomes = [each.receipt.outcome for each in sent]
    reached = bench.drain(bench.consumer(subscription, bus=bench.bus()))

    require(None not in outcomes, f"{outcomes.count(None)} of 300 are undecided after close")
    refused = [each for each in outcomes if each and each.kind is not OutcomeKind.ACCEPTED]
    require(not refused, f"closing refused {len(refused)} of 300, the first with {refused[:1]}")
    bench.judge(subscription, loss, duplicate)
    assert reached


@clause("LIF-52")
def test_nothing_is_handed_out_once_close_has_returned(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    producer.send(20)
    consumer = bench.consumer(subscription)
    went_on = threading.Event()
    bench.handles.callback(went_on.set)
    seen: list[Held] = []

    def iterate() -> None:
        for held in consumer:
            held.ack()
            seen.append(held)
            if len(seen) == 5:
                went_on.wait()

    loop = Beside(iterate)
    assert bench.eventually(lambda: len(seen) == 5)
    consumer.close()
    went_on.set()
    producer.send(20)
    reached = bench.drain(bench.consumer(subscription, bus=bench.bus()))

    require(loop.ended(bench.timing.patience_s), "the iteration goes on after close")
    bench.judge(subscription, lifecycle, loss, duplicate)
    assert reached


@clause("LIF-53")
def test_closing_keeps_its_deadline_while_a_handler_is_stuck(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(2)
    consumer = bench.consumer(subscription, bus=bench.bus())
    stuck = _Stuck(bench, consumer)
    of_consumer = _seconds(lambda: consumer.close(_SHORT_S))
    stuck.let_go()
    bus = bench.bus()
    consumer = bench.consumer(subscription, bus=bus)
    stuck = _Stuck(bench, consumer)
    of_bus = _seconds(lambda: bus.close(_SHORT_S))
    stuck.let_go()
    consumer.close()
    reached = bench.drain(bench.consumer(subscription, bus=bench.bus()))

    limit_s = _SHORT_S + bench.timing.slack_s
    for what, took_s in (("consumer", of_consumer), ("bus", of_bus)):
        require(took_s <= limit_s, f"{what}.close({_SHORT_S}) took {took_s:.2f} s")
    bench.judge(subscription, loss)
    assert reached


def _seconds(work: Callable[[], None]) -> float:
    began = monotonic()
    with suppress(UnibusError):  # what could not be done in time may be told
        work()
    return monotonic() - began


@clause("LIF-59")
def test_closing_keeps_its_deadline_when_the_broker_is_silent(bench: Bench) -> None:
    subscription = bench.subscription()
    with bench.faults.cut(bench.url) as cut:
        bus = bench.bus(url=cut.url)
        producer = bench.producer(subscription.topic, bus=bus)
        consumer = bench.consumer(subscription, bus=bus)
        producer.send(5)
        held = consumer.take(3)
        bench.recorder.fault("what the broker says is lost")
        cut.swallow_answers()
        for each in held:
            each.ack()
        sent = producer.publish()
        took_s = _seconds(lambda: bus.close(_SHORT_S))
        outcome = sent.receipt.outcome
        producer.confirm(0.0)
        consumer.close()
        settled = [each.raw.outcome for each in held]
    reached = bench.drain(bench.consumer(subscription, bus=bench.bus()))

    limit_s = _SHORT_S + bench.timing.slack_s
    require(took_s <= limit_s, f"bus.close({_SHORT_S}) took {took_s:.2f} s")
    is_unknown = outcome is not None and outcome.kind is OutcomeKind.UNKNOWN
    require(is_unknown, f"a publish whose answer was lost: {outcome}")
    known = [each for each in settled if each is not None and each.kind is OutcomeKind.SETTLED]
    require(not known, f"{len(known)} acks whose answer was lost are called settled")
    bench.judge(subscription, loss)
    assert len(held) == 3
    assert reached


@clause("LIF-60")
def test_an_interrupt_gives_back_what_it_interrupts(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(6)
    bus = bench.bus()
    consumer = bench.consumer(subscription, bus=bus)
    caught: BaseException | None = None
    done: list[str] = []

    def handle(held: Held) -> None:
        if len(done) == 3:
            raise KeyboardInterrupt  # as the handler of SIGINT does
        done.append(held.message)

    try:
        with bus:
            consumer.run(handle, stop=threading.Event())
    except KeyboardInterrupt as interrupt:
        caught = interrupt
    consumer.close()
    reached = bench.drain(bench.consumer(subscription, bus=bench.bus()))

    require(caught is not None, "the interrupt did not reach the program")
    require_equal(3, len(done), "deliveries handled by a loop that was interrupted at the fourth")
    bench.judge(subscription, loss, duplicate)
    have = bench.capabilities
    if have.attempts.value is Attempts.EXACT and have.release and have.release.value == "uncounted":
        bench.judge(subscription, attempts(Counting(loss=False)))
    assert reached
