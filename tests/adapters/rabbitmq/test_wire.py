from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import pika
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unibus import spi
from unibus_rabbitmq import delay, fields, tables, wire
from unibus_rabbitmq.names import Address

NOW_S = 1_700_000_000.25
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=60).filter(
    lambda name: not wire.is_brokers(name) and not spi.header_names.is_reserved(name)
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
WHOLE_SECONDS = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001  # the zone is added below
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]),
).map(lambda moment: moment.replace(microsecond=0))
VALUES = (
    TEXTS
    | st.binary(max_size=30)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
    | WHOLE_SECONDS
)


def outgoing(**columns: object) -> spi.Outgoing:
    batch = spi.Outgoing([b"body"])
    for name, value in columns.items():
        setattr(batch, name, [value])
    return batch


def encode(
    batch: spi.Outgoing,
    *,
    direct: bool = False,
    message_id: str = "a-1",
    extra: Mapping[str, spi.HeaderValue] | None = None,
) -> bytes:
    return wire.encode(
        batch, 0, direct=direct, message_id=message_id, persistent=True, now_s=NOW_S, extra=extra
    )


def received(
    raw: bytes, exchange: str = "orders", routing_key: str = "order.created"
) -> spi.Message:
    return wire.message(b"body", exchange, routing_key, fields.decode(raw))


def typed(headers: Mapping[str, spi.HeaderValue] | None) -> list[tuple[str, type, object]]:
    return [(name, type(value), value) for name, value in (headers or {}).items()]


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_every_declared_type_comes_back_equal_and_of_the_same_type(
    headers: dict[str, spi.HeaderValue],
) -> None:
    message = received(encode(outgoing(headers=headers)))

    assert typed(headers) == typed(message.headers)


@given(st.dictionaries(NAMES.filter(bool), VALUES.filter(lambda v: type(v) is not float)))
def test_a_bare_pika_reads_what_we_write(headers: dict[str, spi.HeaderValue]) -> None:
    batch = outgoing(headers=headers)

    properties = pika.BasicProperties().decode(encode(batch))

    found = properties.headers or {}
    assert headers == {name: value for name, value in found.items() if name != wire.BYTES}
    assert (properties.message_id, properties.delivery_mode) == ("a-1", 2)


@given(st.dictionaries(NAMES.filter(bool), VALUES.filter(lambda v: type(v) is not float)))
def test_what_a_bare_pika_wrote_is_read(headers: dict[str, spi.HeaderValue]) -> None:
    native = pika.BasicProperties(headers=headers, message_id="b", timestamp=1_700_000_000)
    raw = b"".join(native.encode())

    ours, pikas = fields.decode(raw), fields.of_pika(pika.BasicProperties().decode(raw))

    assert typed(headers) == typed(wire.message(b"", "x", "y", ours).headers)
    assert typed(headers) == typed(wire.message(b"", "x", "y", pikas).headers)
    assert (
        (message := wire.message(b"", "x", "y", ours)).id,
        message.timestamp_s,
    ) == ("b", 1_700_000_000.0)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_properties_give_an_answer_or_a_value_error(raw: bytes) -> None:
    try:
        fields.decode(raw)
    except ValueError:
        return
    assert fields.attempt(raw, redelivered=True) >= -(2**63)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (2**63, "64 bits"),
        (float("nan"), "no number"),
        (float("-inf"), "no number"),
        (datetime(2026, 1, 1, microsecond=1, tzinfo=UTC), "whole seconds"),
        (datetime(1969, 12, 31, tzinfo=UTC), "before 1970"),
    ],
)
def test_a_value_that_would_not_come_back_is_refused_by_name(
    value: spi.HeaderValue, why: str
) -> None:
    with pytest.raises(spi.MessageRejectedError, match=f"'weight'.*{why}"):
        encode(outgoing(headers={"weight": value}))


@pytest.mark.parametrize("name", ["CC", "BCC", "x-death", "x-stream-offset", "x-first-death-queue"])
def test_a_header_that_rabbitmq_acts_on_is_refused(name: str) -> None:
    with pytest.raises(spi.MessageRejectedError, match=name):
        encode(outgoing(headers={name: "text"}))


def test_headers_that_do_not_fit_a_frame_are_refused() -> None:
    with pytest.raises(spi.MessageRejectedError, match="131"):
        encode(outgoing(headers={"big": b"x" * 131_052}))


def test_a_name_of_256_bytes_is_refused() -> None:
    with pytest.raises(spi.MessageRejectedError, match="at most 255"):
        encode(outgoing(headers={"n" * 256: 1}))


def test_key_and_routing_key_travel_and_leave_no_header_behind() -> None:
    batch = outgoing(keys="42", routing_keys="order.created")

    direct = received(encode(batch, direct=True), "", "email")
    routed = received(encode(batch))

    assert (direct.key, direct.routing_key, direct.headers) == ("42", "order.created", {})
    assert (routed.key, routed.routing_key, routed.headers) == ("42", "order.created", {})


def test_the_address_of_a_queue_is_nobodys_routing_key() -> None:
    assert received(encode(outgoing(), direct=True), "", "email").routing_key is None


def test_an_id_longer_than_the_property_travels_as_a_header() -> None:
    message = received(encode(outgoing(), message_id="é" * 200))

    assert (message.id, message.headers) == ("é" * 200, {})


def test_a_lifetime_is_told_to_the_broker_and_to_the_consumer() -> None:
    native = fields.decode(encode(outgoing(timings=(None, 1.5, None))))

    assert native["expiration"] == "1500"
    assert native["headers"] == {spi.header_names.EXPIRES_AT: "1700000001750"}


def test_a_delayed_message_has_no_expiration_that_would_cut_its_wait() -> None:
    native = fields.decode(encode(outgoing(timings=(2.0, 5.0, None))))

    assert "expiration" not in native
    assert native["headers"] == {spi.header_names.EXPIRES_AT: "1700000005250"}


def test_a_lifetime_the_broker_would_close_the_channel_for_is_refused() -> None:
    with pytest.raises(spi.MessageRejectedError, match="315360000 s"):
        encode(outgoing(timings=(None, 315_360_001.0, None)))


def test_no_priority_is_the_lowest() -> None:
    """RabbitMQ 4.3 takes a message without the property for one of priority 4."""
    assert [
        fields.decode(encode(outgoing(timings=(None, None, each))))["priority"]
        for each in (None, 0, 9)
    ] == [0, 0, 9]


def test_the_headers_of_a_delay_are_not_carried_on() -> None:
    way = delay.route(Address("", "email"), 0.3)
    batch = outgoing(routing_keys="order.created", headers={"a": 1})

    message = received(encode(batch, direct=True, extra=way.headers), delay.DELIVER, "email")

    assert (message.routing_key, message.headers) == ("order.created", {"a": 1})


def test_bytes_stay_bytes_where_a_stream_hands_them_out_as_text() -> None:
    native = fields.decode(encode(outgoing(headers={"raw": b"abc", "text": "abc"})))
    native["headers"]["raw"] = "abc"

    message = wire.message(b"", "orders", "", native)

    assert message.headers == {"raw": b"abc", "text": "abc"}


def test_properties_without_a_word_here_survive_a_copy() -> None:
    native = pika.BasicProperties(
        content_type="application/json", correlation_id="c", reply_to="r", type="t", app_id="a",
        headers={"x": 1}, message_id="m",
    )  # fmt: skip
    read = wire.message(b"", "", "q", fields.of_pika(native))

    copy = fields.decode(encode(outgoing(headers=read.headers), message_id=read.id))

    assert spi.header_names.program_headers(read.headers) == {"x": 1}
    assert tuple(
        copy[name]
        for name in ("content_type", "correlation_id", "reply_to", "type", "app_id", "headers")
    ) == ("application/json", "c", "r", "t", "a", {"x": 1})


def test_repr_of_nothing_here_shows_a_body_or_a_header() -> None:
    encoded = wire.properties(
        outgoing(headers={"secret": "hunter2"}), 0, direct=False, message_id="m",
        persistent=True, now_s=NOW_S,
    )  # fmt: skip

    assert "hunter2" not in repr(encoded)
    assert b"hunter2" in b"".join(encoded.encode())


def test_a_header_value_is_left_alone_if_it_is_one() -> None:
    assert tables.header_value(b"\x00") == b"\x00"
