from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from fakes_receive import CAPABILITIES, SUBSCRIPTION, UNCONFIRMED, make

from unibus import spi
from unibus.errors import (
    ConfigurationError,
    MessageRejectedError,
    UnsupportedError,
)


def test_receive_returns_what_is_there_and_keeps_the_rest() -> None:
    consumer, receiver = make()
    receiver.bring(b"a", b"b", b"c")
    receiver.bring(b"d")

    first, rest, none = (
        consumer.receive(2),
        consumer.receive(9, timeout_s=5),
        consumer.receive(9, timeout_s=0),
    )

    assert [list(each.bodies) for each in (first, rest, none)] == [[b"a", b"b"], [b"c", b"d"], []]


def test_stopping_to_iterate_loses_nothing() -> None:
    consumer, receiver = make()
    receiver.bring(b"a", b"b", b"c")
    for _ in consumer:
        break

    assert list(consumer.receive(9).bodies) == [b"b", b"c"]


def test_receiving_inside_a_loop_goes_on_where_the_loop_is() -> None:
    consumer, receiver = make()
    receiver.bring(b"a", b"b", b"c", b"d")
    seen: list[bytes | None] = []
    for delivery in consumer:
        seen.append(delivery.body)
        seen += consumer.receive(2, timeout_s=0).bodies
        if len(seen) == 4:
            break

    assert seen == [b"a", b"b", b"c", b"d"]


def test_a_second_thread_cannot_receive_meanwhile() -> None:
    consumer, receiver = make()
    receiver.bring(b"a", b"b")
    iterator = iter(consumer)
    next(iterator)
    refusals: list[Exception] = []

    def receive() -> None:
        try:
            consumer.receive(1, timeout_s=0)
        except UnsupportedError as error:
            refusals.append(error)

    thread = threading.Thread(target=receive)
    thread.start()
    thread.join(10)

    assert len(refusals) == 1


def test_a_message_that_comes_later_wakes_a_blocked_receive() -> None:
    consumer, receiver = make()
    timer = threading.Timer(0.02, lambda: receiver.bring(b"late"))
    timer.start()

    assert list(consumer.receive(1, timeout_s=10).bodies) == [b"late"]
    timer.join()


def test_nothing_is_handed_out_while_paused() -> None:
    consumer, receiver = make()
    receiver.bring(b"a", b"b")
    consumer.receive(1)

    consumer.pause()
    paused = list(consumer.receive(9, timeout_s=0.01))
    consumer.resume()

    assert paused == []
    assert list(consumer.receive(9).bodies) == [b"b"]
    assert receiver.calls == ["pause", "resume"]


def test_a_lost_way_to_the_broker_ends_a_receive_with_its_cause() -> None:
    consumer, receiver = make()
    receiver.events.state(spi.Link.FATAL, OSError("gone"))

    with pytest.raises(spi.AdapterError, match="gone"):
        consumer.receive(1, timeout_s=60)


def test_a_failed_body_is_nacked_with_backoff_and_the_loop_goes_on() -> None:
    consumer, receiver = make()
    receiver.bring(b"bad", b"good")
    for delivery in consumer:
        with delivery:
            if delivery.body == b"bad":
                raise ValueError("no such shelf")
        if delivery.body == b"good":
            break

    verdict = receiver.verdicts[0]
    assert receiver.settled() == [("nack", 0, 1), ("ack", 1, 1)]
    assert (verdict.delay_s, verdict.reason) == (2.0, "ValueError: no such shelf")


def test_an_interrupt_releases_the_delivery_and_goes_on() -> None:
    consumer, receiver = make()
    receiver.bring(b"a")
    (delivery,) = consumer.receive(1)

    with pytest.raises(KeyboardInterrupt), delivery:
        raise KeyboardInterrupt

    assert receiver.settled() == [("release", 0, 1)]


def test_what_cannot_be_decoded_is_rejected_alone() -> None:
    consumer, receiver = make()
    receiver.bring(ValueError("timestamp"), b"good")
    for delivery in consumer:
        with delivery:
            str(delivery.headers)
        if delivery.body == b"good":
            break

    assert receiver.settled() == [("reject", 0, 1), ("ack", 1, 1)]
    assert receiver.verdicts[0].reason == "undecodable"


def test_reading_what_cannot_be_decoded_raises_a_typed_error() -> None:
    consumer, receiver = make()
    receiver.bring(ValueError("timestamp"))

    with pytest.raises(MessageRejectedError):
        str(consumer.receive(1)[0].key)


def test_a_delivery_shows_the_programs_headers_and_counts_earlier_copies() -> None:
    consumer, receiver = make()
    headers = {"tenant": "acme", "unibus-attempts": "2"}
    receiver.bring(spi.Message(b"a", "k", "r.k", headers, "id-1"))
    (delivery,) = consumer.receive(1)

    assert dict(delivery.headers) == {"tenant": "acme"}
    assert (delivery.key, delivery.routing_key, delivery.id) == ("k", "r.k", "id-1")
    assert (delivery.attempt, delivery.subscription) == (3, SUBSCRIPTION.name)


def test_at_most_once_settles_exactly_what_is_received_before() -> None:
    consumer, receiver = make(delivery="at_most_once", capabilities=UNCONFIRMED)
    receiver.answer = spi.SENT
    receiver.bring(b"a", b"b", b"c")

    batch = consumer.receive(2)

    assert (receiver.settled(), receiver.barriers) == ([("ack", 0, 2)], 1)
    assert list(batch.bodies) == [b"a", b"b"]
    batch[0].ack()
    with pytest.raises(UnsupportedError, match="before it is handed out"):
        batch[1].nack()


def test_at_most_once_hands_out_nothing_that_was_not_confirmed() -> None:
    consumer, receiver = make(delivery="at_most_once")
    receiver.answer = spi.unknown(spi.ConnectionLostError("cut"))
    receiver.bring(b"a")
    assert list(consumer.receive(1, timeout_s=0.01)) == []
    receiver.answer = None
    receiver.bring(b"b")

    assert list(consumer.receive(1, timeout_s=0.01)) == []


def test_what_was_under_way_at_most_once_is_handed_out_later() -> None:
    consumer, receiver = make(delivery="at_most_once", capabilities=UNCONFIRMED)
    receiver.answer, receiver.answers_barriers = spi.SENT, False
    receiver.bring(b"a")
    assert list(consumer.receive(1, timeout_s=0.01)) == []

    receiver.answers_barriers = True
    receiver.barrier()

    assert list(consumer.receive(1, timeout_s=0.01).bodies) == [b"a"]
    assert receiver.settled() == [("ack", 0, 1)]


def test_seek_refuses_before_any_io_what_is_not_offered() -> None:
    consumer, receiver = make()

    with pytest.raises(UnsupportedError, match="time"):
        consumer.seek(datetime.now(UTC))
    with pytest.raises(UnsupportedError, match="position"):
        consumer.seek("3:17")
    with pytest.raises(ConfigurationError, match="naive"):
        consumer.seek(datetime(2026, 1, 1))  # noqa: DTZ001  # that it is naive is the test
    consumer.seek("earliest")
    assert receiver.sought == ["earliest"]


def test_an_unknown_way_of_delivery_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at_least_once"):
        make(delivery="exactly_once")


def test_a_way_of_delivery_that_is_not_promised_is_refused() -> None:
    with pytest.raises(UnsupportedError):
        make(delivery="at_most_once", capabilities=spi.Capabilities())


def test_acks_from_many_threads_are_all_told_once() -> None:
    consumer, receiver = make(max_unsettled=40)
    for _ in range(20):
        receiver.bring(*[b"x"] * 40)
    for _ in range(20):
        batch = consumer.receive(40)
        threads = [
            threading.Thread(target=lambda part=part: [each.ack() for each in part])
            for part in (batch[::3], batch[1::3], batch[2::3], batch[::2])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    consumer.flush()

    told = [(id(v.ticket), i) for v in receiver.verdicts for i in range(v.first, v.first + v.count)]
    assert (len(told), len(set(told))) == (800, 800)
    assert CAPABILITIES.ack_confirmed
