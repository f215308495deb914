"""The memory broker beside Kombu's memory transport, and how it grows."""

from __future__ import annotations

from typing import Any

import kombu
from typing_extensions import override

import unibus
from unibus_bench.measure import BenchError, Contestant

BODY = b"x" * 100
AT_ONCE = 1000


class Kombu(Contestant):
    """Kombu's memory transport: put, get, ack."""

    name = "kombu memory://"
    role = "peer"
    guarantee = "in process, ack each"
    share = 0.1

    @override
    def open(self) -> None:
        self._connection = kombu.Connection("memory://")
        self._queue = self._connection.SimpleQueue("bench", serializer="raw")

    @override
    def run(self, count: int) -> None:
        put, get = self._queue.put, self._queue.get
        for _ in range(count):
            put(BODY, content_encoding="binary", content_type="application/data")
        for _ in range(count):
            _handled(get(block=False)).ack()

    @override
    def close(self) -> None:
        self._queue.close()
        self._connection.release()


def _handled(message: Any) -> Any:  # noqa: ANN401  # kombu has no types
    return message


class Unibus(Contestant):
    """unibus on the memory broker: publish, iterate, ack each."""

    name = "unibus memory://, ack each"
    role = "unibus"
    guarantee = "in process, ack each"
    backlog = 0
    """Messages that wait before the timed part begins, and still do when it ends."""

    @override
    def open(self) -> None:
        self.queue = unibus.Queue("bench")
        self.bus = unibus.connect("memory://")
        self.bus.topology.apply(self.queue)
        self.producer = self.bus.producer(self.queue)
        self.consumer = self.bus.consumer(self.queue)
        for _ in range(0, self.backlog, AT_ONCE):
            self.producer.publish_many([BODY] * AT_ONCE)
        self.producer.flush()

    @override
    def run(self, count: int) -> None:
        publish = self.producer.publish
        for start in range(0, count, AT_ONCE):
            burst = min(AT_ONCE, count - start)
            for _ in range(burst):
                publish(BODY)
            self._handle(burst)

    def _handle(self, left: int) -> None:
        for delivery in self.consumer:
            delivery.ack()
            left -= 1
            if not left:
                return

    @override
    def verify(self, count: int) -> None:
        self.consumer.flush()
        if (found := self.bus.backlog(self.queue)) > self.backlog:
            raise BenchError(f"{self.name}: {found} messages wait, {self.backlog} expected")

    @override
    def close(self) -> None:
        self.bus.close()


class UnibusLoaded(Unibus):
    """The same with a million messages waiting."""

    name = "unibus memory://, 1,000,000 waiting"
    backlog = 1_000_000
