"""Bodies."""

from __future__ import annotations

import json
from typing import Any, Final

from unibus.errors import MessageRejectedError, MessageTooLargeError
from unibus.message import Message
from unibus_contract.checkers import fidelity, loss
from unibus_contract.judgement import require, require_quiet, require_raises
from unibus_contract.registry import clause
from unibus_contract.watch import watched
from unibus_contract.workbench import Bench

_MIB: Final = 1 << 20

_LOOKALIKES: Final = (
    json.dumps({"b": 1.0, "a": [None, "ż"]}, ensure_ascii=False, indent=1).encode(),
    b'{"Type": "Notification", "Message": "{}", "MessageAttributes": {}}',
    b"aGVsbG8sIHdvcmxkISEh",
    b"\xef\xbb\xbfwith a mark in front",
    "caf\u00e9 cafe\u0301".encode(),
    "two bytes a letter".encode("utf-16"),
    b"\x1f\x8b\x08\x00no gzip at all",
    b"unibus-id: 7\r\n\r\n",
)

_NO_BYTES: Final[tuple[object, ...]] = (
    "text",
    bytearray(b"mutable"),
    memoryview(b"borrowed"),
    7,
    ["list"],
    {"dict": 1},
)


@clause("PAY-01")
def test_every_byte_value_survives(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    for body in (bytes(range(256)), b"\xff\xfe\x00", b"\r\n", b" ", b"\x00", b'{"a": 1}\n'):
        producer.send(body=body)
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, fidelity)
    assert reached


@clause("PAY-02")
def test_a_body_is_not_read(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send_batch([{"body": each} for each in _LOOKALIKES])
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, fidelity)
    assert reached


@clause("PAY-03")
def test_a_body_without_bytes_arrives_without_bytes(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    producer.send(3, body=b"")
    producer.send()
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, fidelity)
    assert reached


@clause("PAY-04")
def test_a_body_that_is_not_bytes_is_refused(bench: Bench) -> None:
    topic = bench.subscription().topic
    broker, watch = watched(bench.broker)
    with broker.connect(bench.url) as bus:
        producer = bus.producer(topic)
        before = watch.count
        for body in _NO_BYTES:
            wrong: Any = body
            name = type(body).__name__
            with require_raises(MessageRejectedError, sentence=f"a {name} as body", saying=[name]):
                producer.publish(wrong)
            with require_raises(MessageRejectedError, sentence=f"a {name} among many"):
                producer.publish_many([b"good", Message(wrong)])
        late = watch.since(before)

    require(not late, f"it is refused before any I/O; it came after {', '.join(late)}")


@clause("PAY-06")
def test_a_body_that_is_too_large_is_refused(bench: Bench) -> None:
    topic = bench.subscription().topic
    limit = bench.capabilities.max_body_bytes.value
    assert limit is not None
    body = bytes(limit + 1)
    says = [str(limit), str(limit + 1), topic.name]
    broker, watch = watched(bench.broker)
    with broker.connect(bench.url) as bus:
        producer = bus.producer(topic)
        before = watch.count
        sentence = f"a body of {limit + 1} bytes, {limit} are allowed"
        with require_raises(MessageTooLargeError, sentence=sentence, saying=says):
            producer.publish(body)
        with require_raises(MessageTooLargeError, sentence=f"{sentence}, with headers"):
            producer.publish(body, headers={"name": "value"}, id="too large")
        with require_raises(MessageTooLargeError, sentence=f"{sentence}, among many"):
            producer.publish_many([b"good", body])
        late = watch.since(before)

    require(not late, f"it is refused before any I/O; it came after {', '.join(late)}")


@clause("PAY-08")
def test_bodies_of_megabytes_arrive_whole(bench: Bench) -> None:
    subscription = bench.subscription()
    limit = bench.capabilities.max_body_bytes.value or 8 * _MIB
    producer = bench.producer(subscription.topic)
    for size in (100_000, _MIB, 5_000_001):
        producer.send(size=min(size, limit))
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, fidelity)
    assert reached


@clause("PAY-50")
def test_a_body_of_the_declared_size_is_taken(bench: Bench) -> None:
    subscription = bench.subscription()
    limit = bench.capabilities.max_body_bytes.value
    assert limit is not None
    producer = bench.producer(subscription.topic)
    with require_quiet(f"a body of {limit} bytes, as declared"):
        (sent,) = producer.send(size=limit)
    reached = bench.drain(bench.consumer(subscription))

    outcome = sent.receipt.wait(0.0)
    require(outcome.cause is None, f"a body of {limit} bytes, as declared, is {outcome}")
    bench.judge(subscription, loss, fidelity)
    assert reached


@clause("PAY-51")
def test_no_body_and_an_empty_one_differ(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    for body in (None, b"", b"\x00"):
        producer.send(body=body)
    producer.send_batch([{"body": b"\x00"}, {"body": None}, {"body": b""}])
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, fidelity)
    assert reached
