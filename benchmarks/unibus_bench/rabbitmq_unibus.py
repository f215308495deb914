"""The same work on RabbitMQ by unibus, with its defaults."""

from __future__ import annotations

import asyncio

from typing_extensions import override

import unibus
import unibus.aio
from unibus_bench.measure import BenchError, handle
from unibus_bench.rabbitmq_raw import BODY, WINDOW, RabbitMQContestant


class _Unibus(RabbitMQContestant):
    role = "unibus"

    @override
    def open(self) -> None:
        super().open()
        self.bus = unibus.connect(self.url)

    @override
    def close(self) -> None:
        self.bus.close()
        super().close()


class Publish(_Unibus):
    """``publish`` in a loop, every receipt kept and looked at."""

    name = "unibus publish, a receipt each"

    @override
    def run(self, count: int) -> None:
        with self.bus.producer(unibus.Queue(self.queue)) as producer:
            publish = producer.publish
            self.receipts = [publish(BODY) for _ in range(count)]
            producer.flush()

    @override
    def verify(self, count: int) -> None:
        if any(each.outcome is not unibus.ACCEPTED for each in self.receipts):
            raise BenchError(f"{self.name}: not every receipt is accepted")
        self.expect(count)


class PublishMany(_Unibus):
    """``publish_many``, 1,000 at a time, an outcome each."""

    name = "unibus publish_many(1,000)"

    @override
    def run(self, count: int) -> None:
        with self.bus.producer(unibus.Queue(self.queue)) as producer:
            for start in range(0, count, WINDOW):
                producer.publish_many([BODY] * min(WINDOW, count - start))
            producer.flush()

    @override
    def verify(self, count: int) -> None:
        self.expect(count)


class Consume(_Unibus):
    """``for delivery in consumer``, a handler call and an ack a message."""

    name = "unibus consumer, ack each"
    guarantee = "at least once, ack each"

    @override
    def prepare(self, count: int) -> None:
        self.fill(count)

    @override
    def run(self, count: int) -> None:
        with self.bus.consumer(unibus.Queue(self.queue)) as consumer:
            left = count
            for delivery in consumer:
                handle(delivery.body)
                delivery.ack()
                left -= 1
                if not left:
                    break

    @override
    def verify(self, count: int) -> None:
        self.expect(0)


class AioPublishMany(RabbitMQContestant):
    """``unibus.aio``: ``publish_many``, 1,000 at a time."""

    name = "unibus.aio publish_many(1,000)"
    role = "unibus"

    @override
    def run(self, count: int) -> None:
        asyncio.run(self._publish(count))

    async def _publish(self, count: int) -> None:
        async with (
            await unibus.aio.connect(self.url) as bus,
            await bus.producer(unibus.Queue(self.queue)) as producer,
        ):
            for start in range(0, count, WINDOW):
                await producer.publish_many([BODY] * min(WINDOW, count - start))

    @override
    def verify(self, count: int) -> None:
        self.expect(count)
