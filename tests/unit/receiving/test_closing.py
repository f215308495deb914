from __future__ import annotations

import os
import signal
import threading

import pytest
from fakes_receive import make

from unibus.errors import (
    ClosedError,
    LeaseLostError,
)
from unibus.outcome import OutcomeKind


def test_a_blocked_loop_ends_when_another_thread_closes() -> None:
    consumer, receiver = make()
    ended = threading.Event()

    def loop() -> None:
        for _ in consumer:
            pass
        ended.set()

    threading.Thread(target=loop).start()
    consumer.close()

    assert ended.wait(10)
    assert receiver.calls == ["close"]


def test_close_waits_for_a_handler_and_tells_the_broker_what_it_settled() -> None:
    consumer, receiver = make()
    receiver.bring(b"a", b"b")
    started, go_on = threading.Event(), threading.Event()
    handled: list[bytes | None] = []

    def loop() -> None:
        for delivery in consumer:
            started.set()
            go_on.wait(10)
            delivery.ack()
            handled.append(delivery.body)

    thread = threading.Thread(target=loop)
    thread.start()
    started.wait(10)
    timer = threading.Timer(0.05, go_on.set)
    timer.start()
    consumer.close(timeout_s=20)
    thread.join(10)
    timer.join()

    assert handled == [b"a"]
    assert receiver.settled() == [("ack", 0, 1)]


def test_close_is_bounded_by_its_budget_when_a_handler_is_stuck() -> None:
    consumer, receiver = make()
    receiver.bring(b"a", b"b")
    started, go_on = threading.Event(), threading.Event()
    handled: list[bytes | None] = []

    def loop() -> None:
        for delivery in consumer:
            started.set()
            go_on.wait(10)
            handled.append(delivery.body)
            delivery.ack()

    thread = threading.Thread(target=loop)
    thread.start()
    started.wait(10)
    consumer.close(timeout_s=0.2)
    go_on.set()
    thread.join(10)

    assert (handled, receiver.settled()) == ([b"a"], [])


def test_close_on_the_receiving_thread_does_not_wait_for_what_it_holds() -> None:
    consumer, receiver = make()
    receiver.bring(b"a")
    (delivery,) = consumer.receive(1)

    consumer.close(timeout_s=60)
    delivery.ack()
    consumer.close()

    assert receiver.calls == ["close"]
    assert delivery.outcome is not None
    assert delivery.outcome.kind is OutcomeKind.LEASE_LOST


def test_a_closed_consumer_refuses_to_receive() -> None:
    consumer, _ = make()
    consumer.close()

    with pytest.raises(ClosedError):
        consumer.receive(1)


def test_what_the_broker_never_confirmed_is_unknown_after_close() -> None:
    consumer, receiver = make()
    receiver.answer = None
    receiver.bring(b"a")
    (delivery,) = consumer.receive(1)
    delivery.ack()

    consumer.close(timeout_s=0.05)

    assert delivery.outcome is not None
    assert delivery.outcome.kind is OutcomeKind.UNKNOWN


def test_a_revocation_waits_for_the_handler_and_starts_nothing_more() -> None:
    consumer, receiver = make()
    incoming = receiver.bring(b"a", b"b", b"c")
    (delivery,) = consumer.receive(1)
    leases = [each.lease for each in incoming.cuts]

    def revoke() -> None:
        receiver.events.revoking(leases, 10.0)
        order.append("revoked")

    order: list[str] = []
    thread = threading.Thread(target=revoke)
    thread.start()
    while not leases[0].stopping:
        pass
    order.append("acked")
    delivery.ack()
    thread.join(10)

    assert order == ["acked", "revoked"]
    assert receiver.settled() == [("ack", 0, 1)]
    assert list(consumer.receive(9, timeout_s=0)) == []


def test_a_revocation_on_the_handlers_own_thread_does_not_wait() -> None:
    consumer, receiver = make()
    incoming = receiver.bring(b"a", b"b")
    batch = consumer.receive(2)
    batch[0].ack()

    receiver.events.revoking([each.lease for each in incoming.cuts], 60.0)

    assert receiver.settled() == [("ack", 0, 1)]


def test_leaving_the_block_closes_and_keeps_the_programs_error() -> None:
    consumer, receiver = make()

    with pytest.raises(LeaseLostError), consumer:
        raise LeaseLostError("the program's own")

    assert receiver.calls == ["close"]


def test_an_interrupt_ends_a_blocked_receive_at_once_and_the_consumer_still_works() -> None:
    consumer, receiver = make()
    timer = threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()

    with pytest.raises(KeyboardInterrupt):
        consumer.receive(1, timeout_s=30)
    timer.join()
    receiver.bring(b"a")

    assert list(consumer.receive(1, timeout_s=5).bodies) == [b"a"]
