"""The AMQP 0-9-1 frames that traffic consists of, encoded.

pika codes every other frame. What comes back is scanned by ``scanner``.

Layout and numbers: AMQP 0-9-1 specification, sections 2.3.5 (frames), 4.2 (grammar) and the
generated class reference; ``basic.nack`` is RabbitMQ's extension 60,120.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from unibus import spi
from unibus_rabbitmq.fields import MAX_SHORT_BYTES

FRAME_MAX = 131_072
"""What we ask the broker for; its own default (RabbitMQ configuration, ``frame_max``)."""

HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
END = 0xCE
METHOD, HEADER, BODY = 1, 2, 3
_MAX_PAYLOAD = FRAME_MAX - 8
_MAX_CACHED_KEYS = 1024

_HEAD = struct.Struct(">BHI")
_TAGGED = struct.Struct(">BHIIQBB")

CLOSE, CLOSE_OK = 0x0014_0028, 0x0014_0029
PUBLISH, DELIVER = 0x003C_0028, 0x003C_003C
ACK, REJECT, NACK = 0x003C_0050, 0x003C_005A, 0x003C_0078
"""Class and method in one."""


def ack(channel: int, tag: int, *, multiple: bool) -> bytes:
    """Return ``basic.ack`` of *tag*, or of all that are outstanding up to it."""
    return _TAGGED.pack(METHOD, channel, 13, ACK, tag, multiple, END)


def reject(channel: int, tag: int, *, requeue: bool) -> bytes:
    """Return ``basic.reject`` of *tag*: a failed attempt if *requeue*, else a dead letter."""
    return _TAGGED.pack(METHOD, channel, 13, REJECT, tag, requeue, END)


def give_back(channel: int, tag: int) -> bytes:
    """Return ``basic.nack`` of *tag* that puts it back."""
    return _TAGGED.pack(METHOD, channel, 13, NACK, tag, 2, END)


def give_back_all(channel: int) -> bytes:
    """Return ``basic.nack`` of everything that is outstanding; puts it back."""
    return _TAGGED.pack(METHOD, channel, 13, NACK, 0, 3, END)


def close(channel: int) -> bytes:
    """Return ``channel.close``, without the ``basic.cancel`` that pika would send first."""
    payload = struct.pack(">IHB", CLOSE, 200, 0) + b"\x00\x00\x00\x00"
    return _HEAD.pack(METHOD, channel, len(payload)) + payload + b"\xce"


def short(text: str, what: str) -> bytes:
    """Return *text* with its length before it.

    Raises:
        MessageRejectedError: It is longer than 255 bytes; the error says so of *what*.
    """
    data = text.encode()
    if len(data) > MAX_SHORT_BYTES:
        raise spi.MessageRejectedError(
            f"the {what} has {len(data)} bytes; AMQP 0-9-1 has room for {MAX_SHORT_BYTES}"
        )
    return bytes((len(data),)) + data


class PublishEncoder:
    """Encodes what is published on one channel; keeps the method frame of each address."""

    __slots__ = ("_channel", "_exchange", "_mandatory", "_methods", "_mode")

    def __init__(
        self, channel: int, exchange: str, *, mandatory: bool = True, persistent: bool = True
    ) -> None:
        self._channel = channel
        self._exchange = exchange
        self._mandatory = mandatory
        # Flags, delivery mode, priority: RabbitMQ 4.3 takes none for 4.
        self._mode = b"\x18\xc0\x02\x00" if persistent else b"\x18\xc0\x01\x00"
        self._methods: dict[tuple[str, str], bytes] = {}

    def plain(
        self,
        bodies: Sequence[bytes | None],
        routing_keys: Sequence[str | None] | str,
        prefix: bytes,
        number: int,
        now_s: int = 0,
    ) -> bytes:
        """Return messages of nothing but a body, a routing key and a counted id.

        *routing_keys* is one for all, or one a message; ids are *prefix* and the numbers from
        *number* on; *now_s* is the Unix time they are published at.

        Raises:
            MessageRejectedError: One of them does not fit; nothing is to be written.
        """
        parts: list[bytes] = []
        add = parts.append
        channel = self._channel.to_bytes(2, "big")
        mode = self._mode
        published = now_s.to_bytes(8, "big") + b"\xce"
        method = self._method(self._exchange, routing_keys if isinstance(routing_keys, str) else "")
        keys = None if isinstance(routing_keys, str) else routing_keys
        last: str | None = ""
        for index, body in enumerate(bodies):
            if keys is not None and (key := keys[index]) != last:
                last = key
                method = self._method(self._exchange, key or "")
            name = b"%b%d" % (prefix, number + index)
            size = len(body) if body else 0
            # Content header: class 60, weight 0, body size, the above, message id, timestamp.
            add(
                b"%b\x02%b%b\x00\x3c\x00\x00%b%b%c%b%b"
                % (
                    method,
                    channel,
                    (25 + len(name)).to_bytes(4, "big"),
                    size.to_bytes(8, "big"),
                    mode,
                    len(name),
                    name,
                    published,
                )
            )
            if body:
                self._body(add, body, size)
        return b"".join(parts)

    def message(self, exchange: str, routing_key: str, properties: bytes, body: bytes) -> bytes:
        """Return one message with *properties*: its flags and values, encoded.

        Raises:
            MessageRejectedError: The routing key is too long.
        """
        parts = [
            self._method(exchange, routing_key),
            _HEAD.pack(HEADER, self._channel, 12 + len(properties)),
            b"\x00\x3c\x00\x00",
            len(body).to_bytes(8, "big"),
            properties,
            b"\xce",
        ]
        if body:
            self._body(parts.append, body, len(body))
        return b"".join(parts)

    def _body(self, add: Callable[[bytes], None], body: bytes, size: int) -> None:
        """Add body frames; an empty body has none: an empty frame is a 505."""
        if size <= _MAX_PAYLOAD:
            add(_HEAD.pack(BODY, self._channel, size))
            add(body)
            add(b"\xce")
            return
        for first in range(0, size, _MAX_PAYLOAD):
            piece = body[first : first + _MAX_PAYLOAD]
            add(_HEAD.pack(BODY, self._channel, len(piece)))
            add(piece)
            add(b"\xce")

    def _method(self, exchange: str, routing_key: str) -> bytes:
        cached = self._methods.get((exchange, routing_key))
        if cached is not None:
            return cached
        payload = b"%b\x00\x00%b%b%c" % (
            PUBLISH.to_bytes(4, "big"),
            short(exchange, "exchange name"),
            short(routing_key, "routing key"),
            self._mandatory,
        )
        frame = _HEAD.pack(METHOD, self._channel, len(payload)) + payload + b"\xce"
        if len(self._methods) >= _MAX_CACHED_KEYS:
            self._methods.clear()
        self._methods[exchange, routing_key] = frame
        return frame
