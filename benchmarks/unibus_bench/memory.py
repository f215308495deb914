"""The memory broker beside Kombu's memory transport, and how it grows."""

from __future__ import annotations

from typing import Any

import kombu
from typing_extensions import override

import unibus
from unibus_bench.measure import BenchError, Contestant, handle

BODY = b"x" * 100
AT_ONCE = 1000


class Kombu(Contestant):
    """Kombu's memory transport: a producer, and a consumer whose callback acks each message."""

    name = "kombu memory://, callback, ack each"
    role = "peer"
    guarantee = "in process, ack each"
    share = 0.1

    @override
    def open(self) -> None:
        self._connection = kombu.Connection("memory://")
        channel = self._connection.channel()
        exchange = kombu.Exchange("bench", "direct")
        queue = kombu.Queue("bench", exchange=exchange, routing_key="bench")
        queue(channel).declare()
        self._producer = kombu.Producer(channel, exchange=exchange, routing_key="bench")
        self._consumer = kombu.Consumer(
            channel, queue, callbacks=[self._received], prefetch_count=0
        )

    @override
    def run(self, count: int) -> None:
        publish = self._producer.publish
        for _ in range(count):
            publish(BODY, content_type="application/octet-stream", content_encoding="binary")
        self._left = count
        with self._consumer:
            while self._left:
                self._connection.drain_events(timeout=1)

    def _received(self, body: bytes, message: Any) -> None:  # noqa: ANN401  # kombu has no types
        handle(body)
        message.ack()
        self._left -= 1

    @override
    def close(self) -> None:
        self._connection.release()


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
            handle(delivery.body)
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
