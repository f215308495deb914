"""Small programs as people write them, to be run, interrupted and watched from outside.

``python -m unibus_contract.program NAME`` reads one JSON object from standard input (``url``,
``subscription``, ``bodies``...) and writes JSON lines to standard output. Standard error is for
what Python itself has to say.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from unibus.errors import UnibusError
from unibus_contract.agent import say
from unibus_contract.elsewhere import open_bus
from unibus_contract.recorder import describe
from unibus_contract.wire_specs import subscription_from_json

if TYPE_CHECKING:
    from unibus import Bus, Delivery, Subscription

_WAIT_S = 5.0


def leave(order: Mapping[str, Any]) -> None:
    """End without closing anything, with deliveries in hand and publishes nobody has waited for."""
    bus, subscription = _open(order)
    producer, consumer = bus.producer(subscription.topic), bus.consumer(subscription)
    bodies = [text.encode() for text in order["bodies"]]
    for body in bodies[::2]:
        producer.publish(body).result(_WAIT_S)
    held = consumer.receive(2, timeout_s=_WAIT_S)
    for body in bodies[1::2]:
        producer.publish(body)
    say("left", held=len(held))


def interrupted(order: Mapping[str, Any]) -> None:
    """Handle deliveries until the third, which takes for ever; Ctrl-C is not caught."""
    bus, subscription = _open(order)
    with bus:
        producer = bus.producer(subscription.topic)
        producer.publish_many([text.encode() for text in order["bodies"]]).wait(_WAIT_S)
        handled: list[str] = []

        def handle(delivery: Delivery) -> None:
            body = (delivery.body or b"").decode()
            if len(handled) == 2:
                say("stuck", body=body)
                threading.Event().wait()
            handled.append(body)
            say("handled", body=body)

        bus.consumer(subscription).run(handle)


def fork(order: Mapping[str, Any]) -> None:
    """Fork with an open bus, use it in the child, and then in the parent."""
    bus, subscription = _open(order)
    producer, consumer = bus.producer(subscription.topic), bus.consumer(subscription)
    first, second = (text.encode() for text in order["bodies"])
    producer.publish(first).result(_WAIT_S)
    (held,) = consumer.receive(1, timeout_s=_WAIT_S)
    attempts: Mapping[str, Callable[[], object]] = {
        "publish": lambda: producer.publish(b"of the child"),
        "receive": lambda: consumer.receive(1, timeout_s=_WAIT_S),
        "flush": lambda: consumer.flush(_WAIT_S),
        "producer": lambda: bus.producer(subscription.topic),
        "consumer": lambda: bus.consumer(subscription),
        "plan": lambda: bus.topology.plan(subscription),
    }
    sys.stdout.flush()
    if os.fork() == 0:
        for name, attempt in attempts.items():
            say("child", did=name, error=_error_of(attempt))
        for handle in (consumer, producer, bus):
            say("child", did=f"close {type(handle).__name__}", error=_error_of(handle.close))
        return  # and ends as a program does
    _, status = os.wait()
    say("ended", code=os.waitstatus_to_exitcode(status))
    held.ack()
    outcome = held.wait_settled(_WAIT_S)
    producer.publish(second).result(_WAIT_S)
    (again,) = consumer.receive(1, timeout_s=_WAIT_S)
    again.ack()
    bus.close()
    say("parent", settled=outcome.kind.value, body=(again.body or b"").decode())


def declare(order: Mapping[str, Any]) -> None:
    """Apply a topology as soon as a line comes in, and use it."""
    subscription = subscription_from_json(order["subscription"])
    with open_bus(order) as bus:
        say("ready")
        sys.stdin.readline()
        bus.topology.apply(subscription.topic, subscription)
        left = bus.topology.plan(subscription.topic, subscription)
        say("declared", left=[change.text for change in left])


def _open(order: Mapping[str, Any]) -> tuple[Bus, Subscription]:
    subscription = subscription_from_json(order["subscription"])
    bus = open_bus(order)
    # There already, unless the broker lives in this process.
    bus.topology.apply(subscription.topic, subscription)
    return bus, subscription


def _error_of(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except UnibusError as error:
        return describe(error)
    return ""


PROGRAMS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    each.__name__: each for each in (leave, interrupted, fork, declare)
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](json.loads(sys.stdin.readline()))
