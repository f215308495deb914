"""RabbitMQ by pika and aio-pika alone: as quick as their public interface allows, and as taught.

Every publish is persistent, mandatory and confirmed, into a durable quorum queue.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aio_pika
import pika
from pika.adapters.select_connection import SelectConnection
from typing_extensions import override

from unibus_bench.measure import BenchError, Contestant, handle

BODY = b"x" * 100
WINDOW = 1000
PREFETCH = 1000


class RabbitMQContestant(Contestant):
    """A queue, and a side connection that fills, counts and empties it."""

    def __init__(self, url: str, queue: str) -> None:
        self.url = url
        self.queue = queue

    @override
    def open(self) -> None:
        self._side = pika.BlockingConnection(pika.URLParameters(self.url))
        self._channel = self._side.channel()
        self._channel.confirm_delivery()

    @override
    def close(self) -> None:
        self._channel.queue_purge(self.queue)
        self._side.close()

    def waiting(self) -> int:
        """Return how many messages lie in the queue."""
        return int(self._channel.queue_declare(self.queue, passive=True).method.message_count)

    def fill(self, count: int) -> None:
        """Make the queue hold exactly *count* messages."""
        self._channel.queue_purge(self.queue)
        _Publishing(self.url, self.queue, count).run()

    @override
    def verify(self, count: int) -> None:
        self._side.process_data_events()

    def expect(self, count: int) -> None:
        """Raise unless the queue holds *count* messages; then empty it."""
        if (found := self.waiting()) != count:
            raise BenchError(f"{self.name}: {found} messages in the queue, {count} expected")
        self._channel.queue_purge(self.queue)


class _Publishing:
    """One connection that publishes with a window of unconfirmed messages, then stops."""

    def __init__(self, url: str, queue: str, count: int) -> None:
        self._queue = queue
        self._left = self._unconfirmed = count
        self._open = 0
        self._properties = pika.BasicProperties(delivery_mode=2)
        self._connection = SelectConnection(pika.URLParameters(url), on_open_callback=self._opened)

    def run(self) -> None:
        self._connection.ioloop.start()

    def _opened(self, connection: SelectConnection) -> None:
        connection.channel(on_open_callback=self._channel_opened)

    def _channel_opened(self, channel: Any) -> None:  # noqa: ANN401  # pika has no types
        self._channel = channel
        self._next_tag = 1
        channel.confirm_delivery(self._confirmed, lambda _: self._publish())

    def _publish(self) -> None:
        publish, queue, properties = self._channel.basic_publish, self._queue, self._properties
        burst = min(WINDOW - self._open, self._left)
        for _ in range(burst):
            publish("", queue, BODY, properties, mandatory=True)
        self._left -= burst
        self._open += burst

    def _confirmed(self, frame: Any) -> None:  # noqa: ANN401  # pika has no types
        tag = frame.method.delivery_tag
        done = tag - self._next_tag + 1 if frame.method.multiple else 1
        self._next_tag = max(self._next_tag, tag + 1)
        self._open -= done
        self._unconfirmed -= done
        if not self._unconfirmed:
            self._connection.ioloop.stop()
        elif self._open <= WINDOW // 2 and self._left:
            self._publish()


class PublishQuickest(RabbitMQContestant):
    """``SelectConnection``, a window of 1,000 unconfirmed messages, no receipts."""

    name = "pika SelectConnection, window 1,000"
    role = "raw quickest"

    @override
    def run(self, count: int) -> None:
        _Publishing(self.url, self.queue, count).run()

    @override
    def verify(self, count: int) -> None:
        self.expect(count)


class PublishTutorial(RabbitMQContestant):
    """``BlockingConnection`` with confirms: a round trip a message, as the tutorial shows it."""

    name = "pika BlockingConnection, confirm each"
    role = "raw tutorial"
    share = 0.1

    @override
    def run(self, count: int) -> None:
        properties = pika.BasicProperties(delivery_mode=2)
        for _ in range(count):
            self._channel.basic_publish("", self.queue, BODY, properties, mandatory=True)

    @override
    def verify(self, count: int) -> None:
        self.expect(count)


class ConsumeQuickest(RabbitMQContestant):
    """``SelectConnection``, prefetch 1,000, a handler call and an ack a message."""

    name = "pika SelectConnection, ack each"
    role = "raw quickest"
    guarantee = "at least once, ack each"

    @override
    def prepare(self, count: int) -> None:
        self.fill(count)

    @override
    def run(self, count: int) -> None:
        self._left = count
        self._connection = SelectConnection(
            pika.URLParameters(self.url),
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._consume),
        )
        self._connection.ioloop.start()

    def _consume(self, channel: Any) -> None:  # noqa: ANN401  # pika has no types
        channel.basic_qos(prefetch_count=PREFETCH)
        channel.basic_consume(self.queue, self._delivered)

    def _delivered(self, channel: Any, method: Any, _properties: Any, body: bytes) -> None:  # noqa: ANN401  # pika has no types
        handle(body)
        channel.basic_ack(method.delivery_tag)
        self._left -= 1
        if not self._left:
            channel.add_on_close_callback(lambda *_: self._connection.ioloop.stop())
            channel.close()

    @override
    def verify(self, count: int) -> None:
        self.expect(0)


class ConsumeTutorial(RabbitMQContestant):
    """``BlockingConnection``, prefetch 1, ack each: the work queue tutorial."""

    name = "pika BlockingConnection, prefetch 1"
    role = "raw tutorial"
    guarantee = "at least once, ack each"
    share = 0.1

    @override
    def prepare(self, count: int) -> None:
        self.fill(count)

    @override
    def run(self, count: int) -> None:
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        channel = connection.channel()
        channel.basic_qos(prefetch_count=1)
        left = count
        for method, _, body in channel.consume(self.queue):
            handle(body)
            channel.basic_ack(method.delivery_tag)
            left -= 1
            if not left:
                break
        connection.close()

    @override
    def verify(self, count: int) -> None:
        self.expect(0)


class PublishAioPika(RabbitMQContestant):
    """aio-pika, 1,000 confirmed publishes gathered at a time."""

    name = "aio-pika, gather 1,000"
    role = "peer"
    share = 0.2

    @override
    def run(self, count: int) -> None:
        asyncio.run(self._publish(count))

    async def _publish(self, count: int) -> None:
        connection = await aio_pika.connect(self.url)
        async with connection:
            channel = await connection.channel()
            exchange = channel.default_exchange
            for start in range(0, count, WINDOW):
                burst = min(WINDOW, count - start)
                await asyncio.gather(
                    *(exchange.publish(_aio_message(), self.queue) for _ in range(burst))
                )

    @override
    def verify(self, count: int) -> None:
        self.expect(count)


def _aio_message() -> aio_pika.Message:
    return aio_pika.Message(BODY, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
