from __future__ import annotations

from collections.abc import Callable

import pika
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import frame, spec

from unibus import spi
from unibus_rabbitmq import frames

CHANNEL = 7
MAX_BODY = frames.FRAME_MAX - 8
bodies = st.binary(max_size=300)
words = st.text(max_size=40)


def decoded(data: bytes) -> list[frame.Frame]:
    """Every frame of *data*, as pika reads it."""
    found = []
    while data:
        used, each = frame.decode_frame(data)
        assert each is not None, "an incomplete frame"
        found.append(each)
        data = data[used:]
    return found


def content(found: list[frame.Frame]) -> list[tuple[object, object, bytes]]:
    """Messages: method, properties, body."""
    messages: list[tuple[object, object, bytes]] = []
    for each in found:
        if isinstance(each, frame.Method):
            messages.append((each.method, None, b""))
        elif isinstance(each, frame.Header):
            messages[-1] = (messages[-1][0], each.properties, b"")
        else:
            assert each.fragment, "an empty body frame is a 505"
            method, properties, body = messages[-1]
            messages[-1] = (method, properties, body + each.fragment)
    return messages


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


def scanner(other: Callable[[bytes], None]) -> frames.Scanner:
    scan = frames.Scanner(other)
    scan.deliveries[CHANNEL] = []
    return scan


@pytest.mark.parametrize("size", [0, 1, MAX_BODY - 1, MAX_BODY, MAX_BODY + 1, 3 * MAX_BODY])
def test_a_body_of_any_size_is_read_by_pika_as_it_was(size: int) -> None:
    encoder = frames.PublishEncoder(CHANNEL, "ex")
    body = bytes(i & 0xFF for i in range(size))
    [(method, properties, got)] = content(decoded(encoder.plain([body], "rk", b"p-", 41)))

    assert (method.exchange, method.routing_key, method.mandatory) == ("ex", "rk", True)
    assert (properties.message_id, properties.delivery_mode) == ("p-41", 2)
    assert got == body


@given(st.lists(st.tuples(bodies, st.none() | words), min_size=1, max_size=8))
def test_a_batch_is_read_by_pika_message_by_message(
    batch: list[tuple[bytes, str | None]],
) -> None:
    encoder = frames.PublishEncoder(CHANNEL, "", persistent=False)
    data = encoder.plain([body for body, _ in batch], [key for _, key in batch], b"p-", 1)
    found = content(decoded(data))

    assert [body for _, _, body in found] == [body for body, _ in batch]
    assert [method.routing_key for method, _, _ in found] == [key or "" for _, key in batch]
    assert [p.message_id for _, p, _ in found] == [f"p-{i + 1}" for i in range(len(batch))]
    assert {p.delivery_mode for _, p, _ in found} == {1}


@given(bodies, words, st.dictionaries(words, words | st.integers(0, 2**31 - 1)))
def test_a_message_with_properties_is_read_by_pika(
    body: bytes, key: str, headers: dict[str, object]
) -> None:
    encoder = frames.PublishEncoder(CHANNEL, "ex")
    properties = pika.BasicProperties(headers=headers, priority=3, message_id="m")
    data = encoder.message("other", key, b"".join(properties.encode()), body)
    [(method, got, got_body)] = content(decoded(data))

    assert (method.exchange, method.routing_key) == ("other", key)
    assert (got.headers, got.priority, got.message_id) == (headers, 3, "m")
    assert got_body == body


def test_more_routing_keys_than_are_kept_are_all_encoded_right() -> None:
    encoder = frames.PublishEncoder(CHANNEL, "ex")
    keys = [f"k{i}" for i in range(3000)]
    found = content(decoded(encoder.plain([b"x"] * 3000, keys, b"p", 0)))

    assert [method.routing_key for method, _, _ in found] == keys


@pytest.mark.parametrize("key", ["k" * 256, "ü" * 128])
def test_a_routing_key_of_more_than_255_bytes_is_refused(key: str) -> None:
    encoder = frames.PublishEncoder(CHANNEL, "ex")
    with pytest.raises(spi.MessageRejectedError, match="255"):
        encoder.plain([b"x"], [key], b"p", 1)


def test_headers_that_do_not_fit_into_a_frame_are_refused() -> None:
    with pytest.raises(spi.MessageRejectedError, match="131052"):
        frames.PublishEncoder(CHANNEL, "ex").message("ex", "", b"x" * (MAX_BODY - 11), b"")


def test_settlements_are_read_by_pika() -> None:
    data = (
        frames.ack(CHANNEL, 2**40, multiple=True)
        + frames.ack(CHANNEL, 1, multiple=False)
        + frames.reject(CHANNEL, 3, requeue=True)
        + frames.reject(CHANNEL, 4, requeue=False)
        + frames.give_back(CHANNEL, 5)
        + frames.close(CHANNEL)
        + frames.HEARTBEAT
    )
    one, two, three, four, five, six, seven = decoded(data)

    assert {each.channel_number for each in (one, two, three, four, five, six)} == {CHANNEL}
    assert (one.method.delivery_tag, one.method.multiple) == (2**40, True)
    assert (two.method.delivery_tag, two.method.multiple) == (1, False)
    assert (three.method.delivery_tag, three.method.requeue) == (3, True)
    assert (four.method.delivery_tag, four.method.requeue) == (4, False)
    assert (five.method.delivery_tag, five.method.multiple, five.method.requeue) == (5, False, True)
    assert isinstance(five.method, spec.Basic.Nack)
    assert isinstance(six.method, spec.Channel.Close)
    assert isinstance(seven, frame.Heartbeat)


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
    with pytest.raises(frames.FrameError):
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
        except frames.FrameError:
            continue
