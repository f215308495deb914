"""Bodies."""

from __future__ import annotations

from unibus_contract.checkers import fidelity, loss
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench


@clause("PAY-01")
def test_every_byte_value_survives(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    for body in (bytes(range(256)), b"\xff\xfe\x00", b"\r\n", b" ", b"\x00", b'{"a": 1}\n'):
        producer.send(body=body)
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
