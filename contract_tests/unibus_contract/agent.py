"""A producer or consumer in a process of its own, so that it can be killed, stopped and watched.

``python -m unibus_contract.agent`` reads JSON lines from standard input and writes JSON lines to
standard output. The first line says what it is to be: ``{"do": "consume", "url": ...,
"subscription": ..., "ack": N}`` acks the first N deliveries by itself and holds the others, or
``{"do": "produce", "url": ..., "topic": ...}``. Then it says ``ready`` and obeys:

* ``{"do": "settle", "lease": 3, "verb": "ack" | "nack" | "release" | "reject"}``
* ``{"do": "flush"}`` says ``settled`` for everything settled so far
* ``{"do": "publish", "bodies": [base64, ...], "key": ...}`` says ``published`` for each
* ``{"do": "exit", "how": "close" | "leave" | "now"}``: in good order, or without closing anything,
  or as if it had been killed

It says ``delivered``, ``settled``, ``published``, ``closed`` and ``error``. A message whose body
contains ``die`` of the first line kills the process before it is settled.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from unibus.errors import UnibusError
from unibus_contract.elsewhere import open_bus
from unibus_contract.history import headers_digest
from unibus_contract.recorder import describe, phase_of
from unibus_contract.wire_specs import subscription_from_json, topic_from_json

if TYPE_CHECKING:
    from unibus import Bus, Consumer, Delivery, Producer

_LOOK_S = 0.05
_OUT = threading.Lock()


def say(event: str, **values: object) -> None:
    """Write one line; whole lines, whichever thread writes."""
    line = json.dumps({"event": event, **values}, ensure_ascii=False)
    with _OUT:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def hear() -> Iterator[Mapping[str, Any]]:
    """Yield the commands, until standard input ends."""
    for line in sys.stdin:
        yield json.loads(line)


class ConsumerAgent:
    """Receives on a thread of its own; settles when it is told to."""

    def __init__(self, bus: Bus, order: Mapping[str, Any]) -> None:
        self._acks_left = int(order.get("ack", 0))
        self._deadly = str(order["die"]).encode() if order.get("die") else None
        options = order.get("options", {})
        subscription = subscription_from_json(order["subscription"])
        self._consumer: Consumer = bus.consumer(subscription, **options)
        self._held: dict[int, Delivery] = {}
        self._settled: dict[int, Delivery] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._receive, name="agent", daemon=True)
        self._thread.start()

    def obey(self, command: Mapping[str, Any]) -> None:
        """Do what *command* says."""
        match command["do"]:
            case "settle":
                self._settle(command["lease"], command["verb"], command.get("arguments", {}))
            case "flush":
                self._flush()
            case unknown:
                say("error", error=f"a consumer cannot {unknown}")

    def close(self) -> None:
        """Close in good order."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def _receive(self) -> None:
        lease = 0
        while not self._stop.is_set():
            try:
                batch = self._consumer.receive(10, timeout_s=_LOOK_S)
            except UnibusError as error:
                say("error", error=describe(error))
                return
            for delivery in batch:
                lease += 1
                self._take(lease, delivery)

    def _take(self, lease: int, delivery: Delivery) -> None:
        body = delivery.body or b""
        with self._lock:
            self._held[lease] = delivery
        say(
            "delivered",
            lease=lease,
            body=base64.b64encode(body).decode(),
            id=delivery.id,
            key=delivery.key,
            routing_key=delivery.routing_key,
            attempt=delivery.attempt,
            headers=headers_digest(delivery.headers),
        )
        if self._deadly is not None and self._deadly in body:
            os._exit(9)
        if self._acks_left > 0:
            self._acks_left -= 1
            self._settle(lease, "ack", {})

    def _settle(self, lease: int, verb: str, arguments: Mapping[str, Any]) -> None:
        with self._lock:
            delivery = self._held.pop(lease)
            self._settled[lease] = delivery
        say("settling", lease=lease, verb=verb)
        try:
            getattr(delivery, verb)(**arguments)
        except UnibusError as error:
            say("error", error=describe(error), lease=lease)

    def _flush(self) -> None:
        try:
            self._consumer.flush()
        except UnibusError as error:
            say("error", error=describe(error))
        with self._lock:
            settled, self._settled = self._settled, {}
        for lease, delivery in settled.items():
            outcome = delivery.outcome
            cause = None if outcome is None else outcome.cause
            say("settled", lease=lease, phase=phase_of(outcome), error=describe(cause))
        say("flushed")


class ProducerAgent:
    """Publishes what it is told to."""

    def __init__(self, bus: Bus, order: Mapping[str, Any]) -> None:
        topic = topic_from_json(order["topic"])
        self._producer: Producer = bus.producer(topic, **order.get("options", {}))

    def obey(self, command: Mapping[str, Any]) -> None:
        """Do what *command* says."""
        for text in command["bodies"]:
            receipt = self._producer.publish(base64.b64decode(text), key=command.get("key"))
            outcome = receipt.wait(command.get("timeout_s", 10.0))
            say("published", body=text, phase=phase_of(outcome), error=describe(outcome.cause))

    def close(self) -> None:
        """Close in good order."""
        self._producer.close()


def main() -> int:
    """Be what the first line says, until told to exit."""
    commands = hear()
    order = next(commands)
    try:
        bus = open_bus(order)
        consumes = order["do"] == "consume"
        agent = ConsumerAgent(bus, order) if consumes else ProducerAgent(bus, order)
    except UnibusError as error:
        say("error", error=describe(error))
        return 1
    say("ready", pid=os.getpid())
    for command in commands:
        if command["do"] != "exit":
            agent.obey(command)
            continue
        if command["how"] == "now":
            os._exit(9)
        if command["how"] == "leave":
            return 0
        break
    agent.close()
    bus.close()
    say("closed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
