"""How a batch is written to a channel: in frames of our own, or by pika."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import pika

from unibus import spi
from unibus_rabbitmq import delay, wire
from unibus_rabbitmq.channel import Channel
from unibus_rabbitmq.frames import PublishEncoder
from unibus_rabbitmq.lanes import Lanes
from unibus_rabbitmq.names import Address
from unibus_rabbitmq.transport import Transport

Refused = Mapping[int, spi.Outcome]
"""The messages of a batch that were not written, by index."""

NOTHING: Final[Refused] = {}
_REFUSALS = (spi.UnibusError, pika.exceptions.AMQPError, ValueError, TypeError, AttributeError)
"""What an encoder raises over a message that cannot be encoded; nothing of it was written then."""


class Target(NamedTuple):
    """Where the messages of a sender go, and how.

    Attributes:
        address: Exchange and routing key.
        lanes: The ordered lanes that keys are spread over; 1 or fewer need no choice.
        subscription: Whom copies in a stream are for; ``None`` if they are for everybody.
        is_confirmed: Whether the broker confirms; what it returns is only of use then.
    """

    address: Address
    lanes: int = 0
    subscription: str | None = None
    is_confirmed: bool = True


class Writer(Protocol):
    """Writes on one channel."""

    def write(self, batch: spi.Outgoing, number: int, now_s: float) -> Refused:
        """Write *batch*; messages without an id are called by the numbers from *number* on."""


class _Addressing:
    """Exchange, routing key and headers of a message; what both ways of writing share."""

    def __init__(self, target: Target, prefix: str) -> None:
        self.target = target
        self.prefix = prefix
        self.exchange, self.routing_key, _ = target.address
        self.lanes = Lanes(target.lanes) if target.lanes > 1 else None

    def is_plain(self, batch: spi.Outgoing) -> bool:
        """Whether the messages have nothing but bodies and routing keys that are free to use."""
        return (
            batch.headers is None
            and batch.keys is None
            and batch.ids is None
            and batch.timings is None
            and self.target.subscription is None
            and (batch.routing_keys is None or self.routing_key is None)
        )

    def own_key(self, batch: spi.Outgoing, index: int) -> str:
        """Return the routing key on the wire."""
        if self.routing_key is not None:
            return self.routing_key
        return (batch.routing_keys[index] or "") if batch.routing_keys else ""

    def keyword(self, batch: spi.Outgoing, index: int, number: int, now_s: float) -> dict[str, Any]:
        """Return what ``wire`` has to know of message *index*, and the exchange it goes to."""
        extra: dict[str, spi.HeaderValue] = {}
        exchange = self.exchange
        if self.lanes is not None and batch.keys and (key := batch.keys[index]) is not None:
            extra[spi.header_names.PARTITION] = self.lanes.of(key)
        if self.target.subscription is not None:
            extra[spi.header_names.SUBSCRIPTION] = self.target.subscription
        if batch.timings and (timing := batch.timings[index]) and timing[0]:
            route = delay.route(self.target.address, timing[0])
            exchange = route.exchange
            extra.update(route.headers)
        return {
            "exchange": exchange,
            "direct": self.routing_key is not None,
            "message_id": (batch.ids[index] if batch.ids else None) or f"{self.prefix}{number}",
            "persistent": True,
            "now_s": now_s,
            "extra": extra,
        }


class OwnWriter:
    """Encodes publishes itself and hands them to our transport, a batch at a time."""

    def __init__(self, transport: Transport, channel: int, target: Target, prefix: str) -> None:
        self._transport = transport
        self._addressing = _Addressing(target, prefix)
        self._encoder = PublishEncoder(
            channel, target.address.exchange, mandatory=target.is_confirmed
        )

    def write(self, batch: spi.Outgoing, number: int, now_s: float) -> Refused:
        """Write *batch*; see ``Writer``."""
        if self._addressing.is_plain(batch) and self._write_plain(batch, number, now_s):
            return NOTHING
        parts: list[bytes] = []
        refused: dict[int, spi.Outcome] = {}
        for index in range(len(batch)):
            try:
                parts.append(self._encode(batch, index, number + len(parts), now_s))
            except _REFUSALS as error:
                refused[index] = _refusal(error)
        if parts:
            self._transport.write(b"".join(parts))
        return refused

    def _write_plain(self, batch: spi.Outgoing, number: int, now_s: float) -> bool:
        routing_key = self._addressing.routing_key
        keys = batch.routing_keys or "" if routing_key is None else routing_key
        prefix = self._addressing.prefix.encode()
        try:
            data = self._encoder.plain(batch.bodies, keys, prefix, number, int(now_s))
        except (spi.MessageRejectedError, ValueError):
            return False  # one of them does not fit: which, is found one by one
        self._transport.write(data)
        return True

    def _encode(self, batch: spi.Outgoing, index: int, number: int, now_s: float) -> bytes:
        about = self._addressing.keyword(batch, index, number, now_s)
        exchange = about.pop("exchange")
        properties = wire.encode(batch, index, **about)
        routing_key = self._addressing.own_key(batch, index)
        return self._encoder.message(exchange, routing_key, properties, batch.bodies[index] or b"")


class PikaWriter:
    """Publishes with pika's channel, message by message."""

    def __init__(self, channel: Channel, target: Target, prefix: str) -> None:
        self._channel = channel
        self._addressing = _Addressing(target, prefix)
        self._mandatory = target.is_confirmed
        # One object for all of them: pika encodes it at once.
        self._plain = pika.BasicProperties(delivery_mode=2, priority=0)

    def write(self, batch: spi.Outgoing, number: int, now_s: float) -> Refused:
        """Write *batch*; see ``Writer``."""
        is_plain = self._addressing.is_plain(batch)
        self._plain.timestamp = int(now_s)
        written = 0
        refused: dict[int, spi.Outcome] = {}
        for index in range(len(batch)):
            try:
                if is_plain:
                    self._write_plain(batch, index, number + written)
                else:
                    self._write(batch, index, number + written, now_s)
                written += 1
            except _REFUSALS as error:
                refused[index] = _refusal(error)
        return refused

    def _write_plain(self, batch: spi.Outgoing, index: int, number: int) -> None:
        self._plain.message_id = f"{self._addressing.prefix}{number}"
        self._channel.basic_publish(
            self._addressing.exchange,
            self._addressing.own_key(batch, index),
            batch.bodies[index] or b"",
            self._plain,
            mandatory=self._mandatory,
        )

    def _write(self, batch: spi.Outgoing, index: int, number: int, now_s: float) -> None:
        about = self._addressing.keyword(batch, index, number, now_s)
        exchange = about.pop("exchange")
        self._channel.basic_publish(
            exchange,
            self._addressing.own_key(batch, index),
            batch.bodies[index] or b"",
            wire.properties(batch, index, **about),
            mandatory=self._mandatory,
        )


def _refusal(error: Exception) -> spi.Outcome:
    if isinstance(error, spi.UnibusError):
        return spi.rejected(error)
    # The text of the error may show the value.
    refusal = spi.MessageRejectedError(
        f"the message cannot be encoded for RabbitMQ ({type(error).__name__}); look at its routing"
        " key, id and headers"
    )
    refusal.__cause__ = error
    return spi.rejected(refusal)
