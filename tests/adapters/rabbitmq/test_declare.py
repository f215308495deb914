from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import pytest

from unibus import spi
from unibus_rabbitmq import bindings, declare, positions
from unibus_rabbitmq.objects import ALTERNATE, Queue

ORDERS = spi.Topic("orders")
LANES = spi.Topic("orders", ordering="key", partitions=2)
EMAIL = spi.Subscription("email", topic=ORDERS, max_attempts=3, dead_letter="orders.dead")


def queue_of(want: declare.Wanted, name: str) -> Mapping[str, object]:
    return next(
        each.arguments for each in want.objects if isinstance(each, Queue) and each.name == name
    )


def test_a_quorum_queue_always_has_a_delivery_limit() -> None:
    limited = queue_of(declare.wanted(EMAIL, None), "email")
    endless = queue_of(declare.wanted(spi.Queue("jobs").subscription, None), "jobs")

    assert limited["x-delivery-limit"] == 2  # three deliveries
    assert endless["x-delivery-limit"] == declare.NO_LIMIT


def test_dead_lettering_of_a_quorum_queue_loses_nothing() -> None:
    arguments = queue_of(declare.wanted(EMAIL, None), "email")

    assert arguments["x-dead-letter-strategy"] == "at-least-once"
    assert arguments["x-overflow"] == "reject-publish"
    assert arguments["x-dead-letter-routing-key"] == "orders.dead"


@pytest.mark.parametrize(
    ("spec", "default", "expected"),
    [
        (EMAIL, None, "quorum"),
        (EMAIL, "rabbitmq-classic", "classic"),
        (EMAIL, "rabbitmq-stream", "quorum"),
        (replace(EMAIL, profile="rabbitmq-classic"), "rabbitmq", "classic"),
        (replace(EMAIL, topic=replace(ORDERS, profile="rabbitmq-classic")), None, "classic"),
    ],
)
def test_the_type_of_a_queue_is_always_named(
    spec: spi.Subscription, default: str | None, expected: str
) -> None:
    assert queue_of(declare.wanted(spec, default), "email")["x-queue-type"] == expected


def test_every_lane_has_one_consumer_and_unkeyed_messages_have_a_lane() -> None:
    want = declare.wanted(spi.Subscription("email", topic=LANES), None)

    lanes = {
        str(each.arguments[spi.header_names.PARTITION]): each.queue
        for each in want.bindings
        if spi.header_names.PARTITION in each.arguments
    }
    shards = next(each for each in want.objects if each.name == "email~shards")
    rest = next(each for each in want.bindings if each.source == shards.arguments[ALTERNATE])

    assert lanes == {"0": "email~0", "1": "email~1"}
    assert rest.queue == "email~0"
    assert all(queue_of(want, name)["x-single-active-consumer"] is True for name in lanes.values())


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (None, [("orders", "#", {})]),
        (spi.Exact("a.b"), [("orders", "a.b", {})]),
        (spi.Exact("a.*"), [("orders", "#", {}), ("orders~exact", "a.*", {})]),
        (spi.Pattern("a.*", "#.b", "a.*"), [("orders", "a.*", {}), ("orders", "#.b", {})]),
        (
            spi.HeaderMatch({"x-a": "1"}, "any"),
            [("orders", "#", {}), ("orders~headers", "", {"x-match": "any-with-x", "x-a": "1"})],
        ),
    ],
)
def test_each_filter_has_its_bindings(
    chosen: spi.Filter | None, expected: list[tuple[str, str, dict[str, object]]]
) -> None:
    bound = bindings.of_filter(EMAIL, chosen)

    assert [(each.source, each.key, dict(each.arguments)) for each in bound] == expected
    assert bindings.read_filter(bindings.filter_text(chosen)) in (
        chosen,
        spi.Pattern(*chosen.patterns) if isinstance(chosen, spi.Pattern) else chosen,
    )


@pytest.mark.parametrize("value", [1.5, b"bytes"])
def test_a_value_that_rabbitmq_compares_otherwise_is_no_filter(value: spi.HeaderValue) -> None:
    with pytest.raises(spi.UnsupportedError, match="HeaderMatch on 'a'"):
        bindings.of_filter(EMAIL, spi.HeaderMatch({"a": value}))


def test_a_filter_of_unibus_itself_is_written_down_with_its_types() -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    chosen = spi.HeaderMatch({"b": b"\xff", "f": 1.0, "t": moment, "n": None}, "any")
    read = bindings.read_filter(json.loads(json.dumps(bindings.filter_text(chosen))))

    assert read == chosen
    assert isinstance(read, spi.HeaderMatch)
    assert type(read.headers["f"]) is float


def test_a_native_argument_may_not_name_another_type_of_queue() -> None:
    spec = spi.Queue("jobs", native={"x-queue-type": "stream"}).subscription

    with pytest.raises(spi.ConfigurationError, match="x-queue-type"):
        declare.wanted(spec, None)


@pytest.mark.parametrize(
    ("start", "expected"),
    [(None, ("orders~stream", "audit~position")), ("earliest", None), ("latest", None)],
)
def test_a_stream_subscription_begins_where_the_log_ends_when_it_is_declared(
    start: Literal["earliest", "latest"] | None, expected: tuple[str, str] | None
) -> None:
    spec = spi.Subscription("audit", topic=ORDERS, mode="stream", start=start)

    assert declare.wanted(spec, None).begins == expected


def test_a_log_is_there_before_its_first_reader() -> None:
    by_profile = declare.wanted(ORDERS, "rabbitmq-stream")
    by_retention = declare.wanted(replace(ORDERS, retention_s=60.0), None)

    assert queue_of(by_profile, "orders~stream") == {"x-queue-type": "stream"}
    assert queue_of(by_retention, "orders~stream")["x-max-age"] == "60s"
    assert [each.name for each in declare.wanted(ORDERS, None).objects] == ["orders"]


@pytest.mark.parametrize("body", [b"", b"-1", b"x", b"1.0"])
def test_a_position_that_is_no_offset_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="position"):
        positions.decode(body)


def test_a_position_comes_back() -> None:
    assert positions.decode(positions.encode(2**62)) == 2**62
