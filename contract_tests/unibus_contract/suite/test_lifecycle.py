"""Opening and closing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from unibus.errors import ClosedError
from unibus_contract.beside import Beside, together
from unibus_contract.checkers import duplicate, loss
from unibus_contract.judgement import require, require_equal, require_quiet, require_raises
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

if TYPE_CHECKING:
    from unibus import Consumer

_LONG_S = 60.0  # nobody waits for it: what is tested comes before


@clause("LIF-01")
def test_closing_a_consumer_ends_the_iteration_over_it(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(3)
    consumer = bench.consumer(subscription)
    seen: list[str] = []

    def iterate() -> None:
        for held in consumer:
            held.ack()
            seen.append(held.message)

    loop = Beside(iterate)
    assert bench.eventually(lambda: len(seen) == 3)
    consumer.close()

    require(loop.ended(bench.timing.patience_s), "the iteration goes on after close")
    require(loop.error is None, f"the iteration ended with {loop.error!r}")


@clause("LIF-02")
def test_closing_twice_is_quiet(bench: Bench) -> None:
    subscription = bench.subscription()
    bus = bench.bus()
    producer, consumer = bus.producer(subscription.topic), bus.consumer(subscription)
    for handle in (producer, consumer, bus):
        handle.close()
        with require_quiet(f"a second close of {type(handle).__name__}"):
            handle.close()


@clause("LIF-04")
def test_a_closed_object_says_that_it_is_closed(bench: Bench) -> None:
    subscription = bench.subscription()
    bus = bench.bus()
    producer, consumer = bus.producer(subscription.topic), bus.consumer(subscription)
    producer.close()
    consumer.close()
    with require_raises(ClosedError, sentence="publish after close"):
        producer.publish(b"late")
    with require_raises(ClosedError, sentence="receive after close"):
        consumer.receive(timeout_s=bench.timing.quiet_s)
    bus.close()
    with require_raises(ClosedError, sentence="opening a producer of a closed bus"):
        bus.producer(subscription.topic)
    with require_raises(ClosedError, sentence="opening a consumer of a closed bus"):
        bus.consumer(subscription)


@clause("LIF-05")
def test_several_threads_may_close_at_once(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(5)
    bus = bench.bus()
    producer, consumer = bus.producer(subscription.topic), bus.consumer(subscription)
    consumer.receive(5, timeout_s=bench.timing.patience_s).ack()
    closers = {
        type(handle).__name__: together(*[handle.close] * 4) for handle in (producer, consumer, bus)
    }

    for name, works in closers.items():
        over = [each.ended(bench.timing.patience_s) for each in works]
        require(all(over), f"{over.count(False)} of 4 closes of one {name} do not return")
        errors = [each.error for each in works if each.error is not None]
        require(not errors, f"closing one {name} by 4 threads raised {errors!r}")
    with require_raises(ClosedError, sentence="opening after 4 threads have closed"):
        bus.consumer(subscription)


@clause("LIF-07")
def test_a_waiting_receive_returns_when_it_is_closed(bench: Bench) -> None:
    subscription = bench.subscription()
    bus = bench.bus()
    consumer = bus.consumer(subscription)
    _require_woken(bench, consumer, consumer.close, "its consumer")
    consumer = bus.consumer(subscription)
    _require_woken(bench, consumer, bus.close, "its bus")


def _require_woken(
    bench: Bench, consumer: Consumer, close: Callable[[], None], closed: str
) -> None:
    found: list[int] = []
    receive = Beside(lambda: found.append(len(consumer.receive(10, timeout_s=_LONG_S))))
    assert bench.eventually(lambda: receive.waits)
    close()

    require(receive.ended(bench.timing.patience_s), f"{closed} was closed, and receive waits on")
    require(receive.error is None, f"{closed} was closed, and receive raised {receive.error!r}")
    require_equal([0], found, f"{closed} was closed, and receive gave deliveries")


@clause("LIF-10")
def test_the_next_consumer_of_a_bus_goes_on_where_the_last_one_was_closed(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(10)
    bus = bench.bus()
    first = bench.consumer(subscription, bus=bus)
    for held in first.take(5):
        held.ack()
    first.close()
    reached = bench.drain(bench.consumer(subscription, bus=bus))

    bench.judge(subscription, loss, duplicate)
    assert reached


@clause("LIF-12")
def test_a_run_that_is_stopped_before_it_began_hands_out_nothing(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(3)
    consumer = bench.consumer(subscription)
    handled: list[str] = []
    stop = threading.Event()
    stop.set()
    run = Beside(lambda: consumer.run(lambda held: handled.append(held.message), stop=stop))

    require(run.ended(bench.timing.patience_s), "run() waits although it was stopped before")
    require(run.error is None, f"run() raised {run.error!r}")
    require_equal([], handled, "messages handled by a run that was stopped before")
    assert bench.drain(consumer)


@clause("LIF-21")
def test_opening_and_closing_alone_takes_nothing_away(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(10)
    for _ in range(3):
        bench.consumer(subscription, bus=bench.bus()).close()
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, duplicate)
    assert reached


@clause("LIF-23")
def test_an_exception_in_the_block_of_a_bus_closes_all_and_goes_on(bench: Bench) -> None:
    subscription = bench.subscription()
    bus = bench.bus()
    producer, consumer = bench.producer(subscription.topic, bus=bus), bus.consumer(subscription)
    boom = LookupError("boom")
    caught: BaseException | None = None
    try:
        with bus:
            producer.send(2)
            held = consumer.receive(1, timeout_s=bench.timing.patience_s)
            raise boom
    except LookupError as error:
        caught = error
    is_open = [each for each in (producer.raw, consumer) if not each.is_closed]

    require(caught is boom, f"the block raised {boom!r} and let {caught!r} through")
    require(not is_open, f"still open: {is_open}")
    with require_raises(ClosedError, sentence="opening on a bus whose block was left"):
        bus.producer(subscription.topic)
    reached = bench.drain(bench.consumer(subscription))
    bench.judge(subscription, loss)
    assert len(held) == 1
    assert reached
