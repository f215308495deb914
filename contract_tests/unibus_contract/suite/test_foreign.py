"""The client library's own objects, and programs that know nothing of unibus."""

from __future__ import annotations

from typing import Final

from unibus import Consumer, Delivery
from unibus.errors import MessageRejectedError
from unibus.message import HeaderValue
from unibus_contract.harness import NativeMessage
from unibus_contract.judgement import require, require_equal, require_raises
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_HEADERS: Final[dict[str, HeaderValue]] = {"tenant": "żółw", "number": 7, "is urgent": True}


def _read(bench: Bench, consumer: Consumer, count: int) -> list[Delivery]:
    found: list[Delivery] = []

    def is_all_there() -> bool:
        found.extend(consumer.receive(count, timeout_s=bench.timing.quiet_s))
        return len(found) >= count

    bench.eventually(is_all_there)
    return found


@clause("HDR-12")
def test_native_objects_are_within_reach(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(2)
    deliveries = bench.consumer(subscription).take(2)
    natives = [each.raw.native for each in deliveries]
    for each in deliveries:
        each.ack()

    require(bench.main.native is not None, "the bus has no native object")
    require(len(natives) == 2 and None not in natives, "a delivery has no native object")
    require(natives[0] is not natives[1], "two deliveries have one native object")


@clause("HDR-14")
def test_what_a_bare_client_publishes_is_received(bench: Bench) -> None:
    subscription = bench.subscription()
    consumer = bench.main.consumer(subscription)
    foreign = [
        NativeMessage(body=b"\x00foreign", headers=_HEADERS, routing_key="a.b", id="theirs"),
        NativeMessage(body=b"bare"),
        NativeMessage(body=b""),
    ]
    for message in foreign:
        bench.native.publish(subscription.topic, message)
    came = {bytes(each.body or b""): each for each in _read(bench, consumer, len(foreign))}
    found = {body: (dict(each.headers), each.routing_key or "") for body, each in came.items()}
    ids = {body: each.id for body, each in came.items()}
    for each in came.values():
        each.ack()
    consumer.close()

    expected = {each.body: (dict(each.headers), each.routing_key or "") for each in foreign}
    require_equal(expected, found, "bodies, headers and routing keys of a bare client")
    require_equal("theirs", ids[b"\x00foreign"], "the id that a bare client set")
    require(all(ids.values()), f"a delivery without an id: {ids}")


@clause("HDR-15")
def test_a_bare_client_reads_what_unibus_publishes(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.main.producer(subscription.topic)
    body = b"\x00ours"
    producer.publish(body, headers=_HEADERS, routing_key="a.b", id="ours").result()
    found = bench.native.get(subscription, timeout_s=bench.timing.patience_s)
    producer.close()

    require(found is not None, "a bare client finds nothing")
    assert found is not None
    program = {name: each for name, each in found.headers.items() if not _is_ours(name)}
    require_equal(body, found.body, "the body, to a bare client")
    require_equal(_HEADERS, program, "the headers, to a bare client")
    require_equal("a.b", found.routing_key, "the routing key, to a bare client")
    require_equal("ours", found.id, "the id, to a bare client")


def _is_ours(name: str) -> bool:
    return name.startswith(("unibus-", "x-"))


@clause("HDR-16")
def test_headers_that_nobody_can_decode_cost_nobody_else(bench: Bench) -> None:
    has_letters = bool(bench.capabilities.dead_letter)
    subscription = bench.subscription(dead_letter=bench.name() if has_letters else None)
    producer = bench.main.producer(subscription.topic)
    consumer = bench.main.consumer(subscription)
    producer.publish(b"before").result()
    bench.native.publish_malformed(subscription.topic)
    producer.publish(b"after").result()
    came = _read(bench, consumer, 3)
    good = [each for each in came if each.body in {b"before", b"after"}]
    bad = [each for each in came if each not in good]
    for each in bad:
        with require_raises(MessageRejectedError, sentence="reading headers that are malformed"):
            dict(each.headers)
        each.reject("undecodable")
    for each in good:
        each.ack()
    consumer.flush(bench.timing.patience_s)
    consumer.close()
    producer.close()

    require_equal(
        [b"before", b"after"], [each.body for each in good], "what is delivered beside it"
    )
    require_equal(1, len(bad), "how many deliveries have malformed headers")
    if has_letters:
        letters = bench.letters(subscription)
        kept = _read(bench, letters.raw, 1)
        require_equal(1, len(kept), "how many malformed messages are dead letters")
