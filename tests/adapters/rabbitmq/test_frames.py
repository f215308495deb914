from __future__ import annotations

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


@pytest.mark.parametrize("size", [0, 1, MAX_BODY - 1, MAX_BODY, MAX_BODY + 1, 3 * MAX_BODY])
def test_a_body_of_any_size_is_read_by_pika_as_it_was(size: int) -> None:
    encoder = frames.PublishEncoder(CHANNEL, "ex")
    body = bytes(i & 0xFF for i in range(size))
    [(method, properties, got)] = content(decoded(encoder.plain([body], "rk", b"p-", 41, 1700)))

    assert (method.exchange, method.routing_key, method.mandatory) == ("ex", "rk", True)
    assert (properties.message_id, properties.delivery_mode) == ("p-41", 2)
    assert (properties.priority, properties.timestamp) == (0, 1700)
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


def test_settlements_are_read_by_pika() -> None:
    data = (
        frames.ack(CHANNEL, 2**40, multiple=True)
        + frames.ack(CHANNEL, 1, multiple=False)
        + frames.reject(CHANNEL, 3, requeue=True)
        + frames.reject(CHANNEL, 4, requeue=False)
        + frames.give_back(CHANNEL, 5)
        + frames.give_back_all(CHANNEL)
        + frames.close(CHANNEL)
        + frames.HEARTBEAT
    )
    one, two, three, four, five, everything, six, seven = decoded(data)

    assert {each.channel_number for each in (one, two, three, four, five, six)} == {CHANNEL}
    assert (one.method.delivery_tag, one.method.multiple) == (2**40, True)
    assert (two.method.delivery_tag, two.method.multiple) == (1, False)
    assert (three.method.delivery_tag, three.method.requeue) == (3, True)
    assert (four.method.delivery_tag, four.method.requeue) == (4, False)
    assert (everything.method.delivery_tag, everything.method.multiple) == (0, True)
    assert everything.method.requeue
    assert (five.method.delivery_tag, five.method.multiple, five.method.requeue) == (5, False, True)
    assert isinstance(five.method, spec.Basic.Nack)
    assert isinstance(six.method, spec.Channel.Close)
    assert isinstance(seven, frame.Heartbeat)
