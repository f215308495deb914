from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pika
import pytest

from unibus import spi
from unibus_rabbitmq import delay, fields, wire


def foreign(table: bytes) -> bytes:
    """Properties of nothing but headers, as another client may write them."""
    return struct.pack(">HI", 1 << 13, len(table)) + table


def entry(name: str, value: bytes) -> bytes:
    return bytes((len(name),)) + name.encode() + value


def typed(headers: Mapping[str, spi.HeaderValue] | None) -> list[tuple[str, type, object]]:
    return [(name, type(value), value) for name, value in (headers or {}).items()]


def received(raw: bytes) -> spi.Message:
    return wire.message(b"body", "orders", "order.created", fields.decode(raw))


def test_foreign_values_become_what_the_rule_says() -> None:
    table = b"".join((
        entry("small", b"b\xfb"),
        entry("half", b"f" + struct.pack(">f", 1.5)),
        entry("price", b"D" + struct.pack(">Bi", 2, 1234)),
        entry("not-utf8", b"S\x00\x00\x00\x02\xff\xfe"),
        entry("list", b"A\x00\x00\x00\x07t\x01I\x00\x00\x00\x07"),
        entry("table", b"F\x00\x00\x00\x08" + entry("k", b"x\x00\x00\x00\x01\xff")),
    ))  # fmt: skip

    assert received(foreign(table)).headers == {
        "small": -5,
        "half": 1.5,
        "price": "12.34",
        "not-utf8": b"\xff\xfe",
        "list": "[true, 7]",
        "table": '{"k": "/w=="}',
    }


def test_pikas_own_values_become_plain_ones() -> None:
    native = pika.BasicProperties(
        headers={"d": Decimal("1.50"), "long": pika.compat.long(5), b"\xff": None}
    )

    message = wire.message(b"", "x", "y", fields.of_pika(native))

    assert [
        ("d", str, "1.50"),
        ("long", int, 5),
        ("\\xff", type(None), None),
    ] == typed(message.headers)


def test_a_timestamp_no_datetime_can_hold_is_an_error_that_names_its_header() -> None:
    raw = foreign(entry("good", b"V") + entry("when", b"T\xff\xff\xff\xff\xff\xff\xff\xff"))

    with pytest.raises(ValueError, match=r"'when'.*9999"):
        fields.decode(raw)


def test_endless_nesting_is_an_error_that_names_its_header() -> None:
    table = b""
    for _ in range(5000):
        table = b"A" + struct.pack(">I", len(table)) + table

    with pytest.raises(ValueError, match="'deep' cannot be decoded"):
        fields.decode(foreign(entry("deep", table)))


def test_a_message_without_an_id_has_the_same_one_at_every_delivery() -> None:
    first = foreign(entry("a", b"t\x01"))
    again = foreign(entry("a", b"t\x01") + entry("x-delivery-count", b"l" + bytes(7) + b"\x02"))
    other = foreign(entry("a", b"t\x00"))

    assert received(first).id == received(again).id
    assert received(first).id != received(other).id


def test_a_stream_names_a_message_without_an_id_by_its_place() -> None:
    message = wire.message(b"", "orders", "", {}, origin="orders~stream/7")

    assert message.id == "orders~stream/7"


def test_the_count_of_the_queue_it_died_in_is_no_attempt_at_a_dead_letter() -> None:
    raw = foreign(entry("x-delivery-count", b"l" + bytes(7) + b"\x03"))

    assert fields.attempt(raw, redelivered=False) == 1
    assert fields.attempt(raw, redelivered=True) == 4
    assert fields.attempt(foreign(b""), redelivered=True) == 1


def test_a_stream_offset_is_found_without_decoding() -> None:
    bad = entry("when", b"T\xff\xff\xff\xff\xff\xff\xff\xff")
    raw = foreign(bad + entry("x-stream-offset", b"l" + bytes(7) + b"\x09"))

    assert fields.stream_offset(raw) == 9


def death(queue: str, reason: str, exchange: str, key: str) -> dict[str, object]:
    when = datetime(2026, 11, 24, 9, 42, 30, tzinfo=UTC)
    return {
        "queue": queue, "reason": reason, "exchange": exchange, "time": when, "count": 1,
        "routing-keys": [key],
    }  # fmt: skip


def test_what_the_broker_dead_lettered_says_so_in_our_words() -> None:
    deaths = [
        death("email", "delivery_limit", "orders", "order.created"),
        death("unibus~delay-03", "expired", "unibus~delay-03", "order.created"),
    ]

    message = wire.message(b"", "", "orders.dead", {"headers": {"x-death": deaths}})

    assert message.routing_key == "order.created"
    assert message.headers == {
        spi.header_names.DEATH_REASON: "max attempts",
        spi.header_names.SUBSCRIPTION: "email",
        spi.header_names.TOPIC: "orders",
        spi.header_names.DEATH_FIRST_AT: "1795513350000",
    }


def test_waiting_in_the_delay_ladder_is_no_death() -> None:
    deaths = [death("unibus~delay-03", "expired", "unibus~delay-03", "order.created")]

    message = wire.message(b"", delay.DELIVER, "order.created", {"headers": {"x-death": deaths}})

    assert (message.routing_key, message.headers) == ("order.created", {})
