"""Where a stream subscription is: one message in its position queue, the next offset as digits."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Final

import pika

_QUIET_S: Final = 0.2
_PREFETCH: Final = 1000


def encode(offset: int) -> bytes:
    """Return the body of the message that says: go on reading at *offset*."""
    return b"%d" % offset


def decode(body: bytes) -> int:
    """Return the offset to go on reading at.

    Raises:
        ValueError: Somebody else wrote into the position queue.
    """
    if not body.isdigit():
        raise ValueError("the position queue holds something that is no offset; purge it")
    return int(body)


def of_start(start: str | datetime | None) -> str | datetime:
    """Return ``x-stream-offset`` of a subscription that has no position yet.

    One that begins when it is declared has one from then on, see ``remember_end``.
    """
    if isinstance(start, datetime):
        return start
    return "first" if start == "earliest" else "next"


def remember_end(parameters: pika.ConnectionParameters, stream: str, position_queue: str) -> None:
    """Have a subscription begin with the next message of *stream*; returns once that is stored.

    On a connection of its own, which is gone afterwards.

    Raises:
        Exception: What pika raises.
    """
    connection = pika.BlockingConnection(parameters)
    try:
        offset = _end_of(connection, stream)
        channel = connection.channel()
        channel.confirm_delivery()
        properties = pika.BasicProperties(delivery_mode=2)
        channel.basic_publish("", position_queue, encode(offset), properties, mandatory=True)
    finally:
        connection.close()


def _end_of(connection: pika.BlockingConnection, stream: str) -> int:
    """Return the offset that the next message of *stream* will have.

    AMQP 0-9-1 does not tell, so the last chunk is read until it is quiet. What is published
    meanwhile may be before or behind it.
    """
    offsets: list[int] = []

    def note(channel: Any, method: Any, properties: Any, _body: bytes) -> None:  # noqa: ANN401  # pika ships no types
        offsets.append(int(properties.headers["x-stream-offset"]))
        # A stream takes nothing back: what is not acknowledged would cost the connection.
        channel.basic_ack(method.delivery_tag)

    channel = connection.channel()
    channel.basic_qos(prefetch_count=_PREFETCH)
    channel.basic_consume(stream, note, arguments={"x-stream-offset": "last"})
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < _QUIET_S:
        if len(offsets) != seen:
            seen, since = len(offsets), time.monotonic()
        connection.process_data_events(_QUIET_S / 10)
    channel.close()
    return offsets[-1] + 1 if offsets else 0
