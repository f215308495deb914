from __future__ import annotations

from collections.abc import Callable

import pika
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import frame, spec

from unibus_rabbitmq import frames
from unibus_rabbitmq.scanner import FrameError, Scanner

CHANNEL = 7
MAX_BODY = frames.FRAME_MAX - 8
bodies = st.binary(max_size=300)


def delivery(tag: int, body: bytes, headers: dict[str, object] | None = None) -> bytes:
    properties = pika.BasicProperties(headers=headers, message_id="m", delivery_mode=2)
    method = spec.Basic.Deliver(
        consumer_tag="c", delivery_tag=tag, redelivered=True, exchange="ex", routing_key="rk"
    )
    data = frame.Method(CHANNEL, method).marshal()
    data += frame.Header(CHANNEL, len(body), properties).marshal()
    for at in range(0, len(body), MAX_BODY):
        data += frame.Body(CHANNEL, body[at : at + MAX_BODY]).marshal()
    return data


def scanner(other: Callable[[bytes], None]) -> Scanner:
    scan = Scanner(other)
    scan.deliveries[CHANNEL] = []
    return scan


@given(
    st.lists(bodies | st.just(b"z" * (MAX_BODY + 5)), max_size=5),
    st.lists(st.integers(1, 200), min_size=1, max_size=30),
)
def test_slices_of_any_size_give_the_same_deliveries(
    each_body: list[bytes], slices: list[int]
) -> None:
    alien = frame.Method(3, spec.Queue.DeclareOk("q", 1, 2)).marshal()
    data = b"".join(
        delivery(tag, body) + alien + frames.HEARTBEAT for tag, body in enumerate(each_body, 1)
    )
    other: list[bytes] = []
    scan = scanner(other.append)
    rows = scan.deliveries[CHANNEL]
    at, turn = 0, 0
    while at < len(data):
        step = slices[turn % len(slices)] * (1 if len(data) < 5000 else 997)
        scan.feed(data[at : at + step])
        at, turn = at + step, turn + 1

    assert [(tag, body) for tag, _, _, body in rows] == list(enumerate(each_body, 1))
    assert other == [alien, frames.HEARTBEAT] * len(each_body)
    assert scan.touched == [CHANNEL] * bool(each_body)


def test_a_row_keeps_what_is_needed_to_decode_it_later() -> None:
    scan = scanner(lambda _: None)
    assert scan.feed(delivery(9, b"body", {"a": 1}))
    [(tag, arguments, properties, body)] = scan.deliveries[CHANNEL]

    decoded_properties = pika.BasicProperties()
    decoded_properties.decode(properties)
    assert (tag, body) == (9, b"body")
    assert arguments == b"\x01\x02ex\x02rk"
    assert decoded_properties.headers == {"a": 1}


def test_a_header_that_pika_cannot_decode_does_not_touch_its_neighbours() -> None:
    data = delivery(1, b"good")
    bad = delivery(2, b"bad", {"t": 2**62})
    assert bad.count(b"\x01tl") == 1
    other: list[bytes] = []
    scan = scanner(other.append)
    scan.feed(data + bad.replace(b"\x01tl", b"\x01tT") + delivery(3, b"good too"))
    rows = scan.deliveries[CHANNEL]

    assert [body for _, _, _, body in rows] == [b"good", b"bad", b"good too"]
    assert other == []
    with pytest.raises((OverflowError, OSError, ValueError)):
        pika.BasicProperties().decode(rows[1][2])


def test_confirms_go_to_their_channel_and_no_other() -> None:
    said: list[tuple[int, bool, bool]] = []
    other: list[bytes] = []
    scan = scanner(other.append)
    scan.confirms[CHANNEL] = lambda tag, multiple, ok: said.append((tag, multiple, ok))
    scan.feed(frame.Method(CHANNEL, spec.Basic.Ack(5, multiple=True)).marshal())
    scan.feed(frame.Method(CHANNEL, spec.Basic.Nack(6, multiple=False)).marshal())
    foreign = frame.Method(CHANNEL + 1, spec.Basic.Ack(1)).marshal()
    scan.feed(foreign)

    assert said == [(5, True, True), (6, False, False)]
    assert other == [foreign]


def test_close_ok_of_a_channel_we_closed_is_kept_from_pika_once() -> None:
    other: list[bytes] = []
    calls: list[str] = []
    scan = scanner(other.append)
    scan.closings[CHANNEL] = lambda: calls.append("closed")
    close_ok = frame.Method(CHANNEL, spec.Channel.CloseOk()).marshal()
    scan.feed(close_ok + close_ok)

    assert calls == ["closed"]
    assert other == [close_ok]


def test_a_returned_message_is_left_to_pika_whole() -> None:
    other: list[bytes] = []
    scan = scanner(other.append)
    data = (
        frame.Method(CHANNEL, spec.Basic.Return(312, "NO_ROUTE", "ex", "rk")).marshal()
        + frame.Header(CHANNEL, 1, pika.BasicProperties()).marshal()
        + frame.Body(CHANNEL, b"x").marshal()
    )

    assert not scan.feed(data)
    assert b"".join(other) == data


def test_nothing_is_scanned_after_the_connection_was_given_up() -> None:
    other: list[bytes] = []
    scan = scanner(other.append)

    def stop(data: bytes) -> None:
        other.append(data)
        scan.stopped = True

    scan._other = stop
    scan.feed(frames.HEARTBEAT * 3)
    assert other == [frames.HEARTBEAT]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        frames.HEARTBEAT[:-1] + b"\x00",
        b"\x01\x00\x01\xff\xff\xff\xff" + b"x" * 200_000,
        delivery(1, b"body")[:40].ljust(200_000, b"\xce"),
        delivery(1, b"x" * 9)[:-17] + delivery(2, b"y"),
    ],
)
def test_what_is_not_amqp_is_an_error_and_no_silence(data: bytes) -> None:
    with pytest.raises(FrameError):
        scanner(lambda _: None).feed(data)


@given(st.binary(min_size=1, max_size=400), st.data())
def test_noise_gives_frame_errors_or_nothing(noise: bytes, data: st.DataObject) -> None:
    real = delivery(1, b"some body")
    at = data.draw(st.integers(0, len(real)))
    for stream in (noise, real[:at] + noise + real[at:]):
        scan = scanner(lambda _: None)
        scan.confirms[CHANNEL] = lambda *_: None
        try:
            scan.feed(stream)
        except FrameError:
            continue
