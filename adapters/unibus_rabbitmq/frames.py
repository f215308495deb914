"""The AMQP 0-9-1 frames that traffic consists of, encoded and scanned; bytes in, bytes out.

pika codes every other frame. Doing these ourselves is a matter of speed, and of correctness: pika
decodes the headers of a delivery before anybody has asked for them, and one that it cannot decode
costs the connection and every delivery beside it.

Layout and numbers: AMQP 0-9-1 specification, sections 2.3.5 (frames), 4.2 (grammar) and the
generated class reference; ``basic.nack`` is RabbitMQ's extension 60,120.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from unibus import spi

FRAME_MAX = 131_072
"""What we ask the broker for; its own default (RabbitMQ configuration, ``frame_max``)."""
MAX_SHORT_BYTES = 255
"""Longest exchange name, routing key or message id: AMQP 0-9-1 section 4.2.5.3."""

HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
_END = 0xCE
_METHOD, _HEADER, _BODY = 1, 2, 3
_KINDS = frozenset((_METHOD, _HEADER, _BODY, HEARTBEAT[0]))
_MAX_PAYLOAD = FRAME_MAX - 8
_MAX_CACHED_KEYS = 1024

_HEAD = struct.Struct(">BHI")
_TAGGED = struct.Struct(">BHIIQBB")
_head_of = _HEAD.unpack_from
_method_of = struct.Struct(">I").unpack_from
_long_of = struct.Struct(">Q").unpack_from

_PUBLISH, _DELIVER = 0x003C_0028, 0x003C_003C
_ACK, _REJECT, _NACK = 0x003C_0050, 0x003C_005A, 0x003C_0078
_CLOSE, _CLOSE_OK = 0x0014_0028, 0x0014_0029

Row = tuple[int, bytes, bytes, bytes]
"""A delivery as it came: tag; redelivered bit, exchange and routing key; properties; body."""


class FrameError(Exception):
    """The bytes are not what AMQP 0-9-1 allows here; the connection cannot go on."""


def ack(channel: int, tag: int, *, multiple: bool) -> bytes:
    """Return ``basic.ack`` of *tag*, or of all that are outstanding up to it."""
    return _TAGGED.pack(_METHOD, channel, 13, _ACK, tag, multiple, _END)


def reject(channel: int, tag: int, *, requeue: bool) -> bytes:
    """Return ``basic.reject`` of *tag*: a failed attempt if *requeue*, else a dead letter."""
    return _TAGGED.pack(_METHOD, channel, 13, _REJECT, tag, requeue, _END)


def give_back(channel: int, tag: int) -> bytes:
    """Return ``basic.nack`` of *tag* that puts it back."""
    return _TAGGED.pack(_METHOD, channel, 13, _NACK, tag, 2, _END)


def close(channel: int) -> bytes:
    """Return ``channel.close``, without the ``basic.cancel`` that pika would send first."""
    payload = struct.pack(">IHB", _CLOSE, 200, 0) + b"\x00\x00\x00\x00"
    return _HEAD.pack(_METHOD, channel, len(payload)) + payload + b"\xce"


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
        self._mode = b"\x10\x80\x02" if persistent else b"\x10\x80\x01"
        self._methods: dict[tuple[str, str], bytes] = {}

    def plain(
        self,
        bodies: Sequence[bytes | None],
        routing_keys: Sequence[str | None] | str,
        prefix: bytes,
        number: int,
    ) -> bytes:
        """Return messages of nothing but a body, a routing key and a counted id.

        *routing_keys* is one for all, or one a message; ids are *prefix* and the numbers from
        *number* on.

        Raises:
            MessageRejectedError: One of them does not fit; nothing is to be written.
        """
        parts: list[bytes] = []
        add = parts.append
        channel = self._channel.to_bytes(2, "big")
        mode = self._mode
        method = self._method(self._exchange, routing_keys if isinstance(routing_keys, str) else "")
        keys = None if isinstance(routing_keys, str) else routing_keys
        last: str | None = ""
        for index, body in enumerate(bodies):
            if keys is not None and (key := keys[index]) != last:
                last = key
                method = self._method(self._exchange, key or "")
            name = b"%b%d" % (prefix, number + index)
            size = len(body) if body else 0
            # Content header: class 60, weight 0, body size, delivery mode, message id.
            add(
                b"%b\x02%b%b\x00\x3c\x00\x00%b%b%c%b\xce"
                % (
                    method,
                    channel,
                    (16 + len(name)).to_bytes(4, "big"),
                    size.to_bytes(8, "big"),
                    mode,
                    len(name),
                    name,
                )
            )
            if body:
                self._body(add, body, size)
        return b"".join(parts)

    def message(self, exchange: str, routing_key: str, properties: bytes, body: bytes) -> bytes:
        """Return one message with *properties*: its flags and values, encoded.

        Raises:
            MessageRejectedError: The properties do not fit into a frame, or the routing key is
                too long.
        """
        if len(properties) + 12 > _MAX_PAYLOAD:
            raise spi.MessageRejectedError(
                f"headers and other properties take {len(properties)} bytes; a frame of this"
                f" broker has room for {_MAX_PAYLOAD - 12}"
            )
        parts = [
            self._method(exchange, routing_key),
            _HEAD.pack(_HEADER, self._channel, 12 + len(properties)),
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
            add(_HEAD.pack(_BODY, self._channel, size))
            add(body)
            add(b"\xce")
            return
        for first in range(0, size, _MAX_PAYLOAD):
            piece = body[first : first + _MAX_PAYLOAD]
            add(_HEAD.pack(_BODY, self._channel, len(piece)))
            add(piece)
            add(b"\xce")

    def _method(self, exchange: str, routing_key: str) -> bytes:
        cached = self._methods.get((exchange, routing_key))
        if cached is not None:
            return cached
        payload = b"%b\x00\x00%b%b%c" % (
            _PUBLISH.to_bytes(4, "big"),
            short(exchange, "exchange name"),
            short(routing_key, "routing key"),
            self._mandatory,
        )
        frame = _HEAD.pack(_METHOD, self._channel, len(payload)) + payload + b"\xce"
        if len(self._methods) >= _MAX_CACHED_KEYS:
            self._methods.clear()
        self._methods[exchange, routing_key] = frame
        return frame


class _Content:
    """A delivery whose body is not complete yet."""

    __slots__ = ("arguments", "missing", "pieces", "properties", "rows", "tag")

    def __init__(self, tag: int, arguments: bytes, rows: list[Row]) -> None:
        self.tag = tag
        self.arguments = arguments
        self.rows = rows
        self.properties: bytes | None = None
        self.missing = 0
        self.pieces: list[bytes] = []


class Scanner:
    """Takes what a broker sends, in any slices, and keeps what is ours; pika gets the rest.

    Attributes:
        deliveries: Channel to the list its deliveries are appended to.
        confirms: Channel to ``f(tag, multiple, ok)`` for each ``basic.ack`` and ``basic.nack``.
        closings: Channel to what is called at ``channel.close-ok``; it is called once.
        touched: Channels whose list was empty and is no longer; the reader clears it.
        stopped: Set it from inside a callback to have the rest ignored.
    """

    __slots__ = (
        "_contents",
        "_other",
        "_tail",
        "closings",
        "confirms",
        "deliveries",
        "stopped",
        "touched",
    )

    def __init__(self, other: Callable[[bytes], None]) -> None:
        self._other = other
        self._tail = b""
        self._contents: dict[int, _Content] = {}
        self.deliveries: dict[int, list[Row]] = {}
        self.confirms: dict[int, Callable[[int, bool, bool], None]] = {}
        self.closings: dict[int, Callable[[], None]] = {}
        self.touched: list[int] = []
        self.stopped = False

    def feed(self, data: bytes) -> bool:
        """Scan *data*; return whether any of it was ours.

        Raises:
            FrameError: The bytes are no frames; the connection cannot go on.
        """
        buffer = self._tail + data if self._tail else data
        if buffer[0] not in _KINDS:
            if buffer[:1] != b"A":
                raise FrameError(f"the answer is not AMQP; it begins with {buffer[:8]!r}")
            # The protocol header of a broker that speaks another version: pika knows it.
            self._other(buffer)
            return False
        try:
            return self._scan(buffer)
        except (struct.error, IndexError) as error:
            raise FrameError("the broker sent a frame shorter than its contents") from error

    def _scan(self, buffer: bytes) -> bool:  # the hot loop; a call per frame would double its cost
        size = len(buffer)
        contents = self._contents
        at, ours = 0, False
        while size - at >= len(HEARTBEAT) and not self.stopped:
            kind, channel, length = _head_of(buffer, at)
            end = at + 7 + length
            if end >= size:
                break
            if buffer[end] != _END:
                raise FrameError("the broker sent a frame without its end mark")
            if kind == _METHOD:
                method = _method_of(buffer, at + 7)[0]
                if method == _DELIVER and channel in self.deliveries:
                    if channel in contents:
                        raise FrameError("the broker sent a delivery inside another")
                    tag_at = at + 12 + buffer[at + 11]
                    tag, arguments = _long_of(buffer, tag_at)[0], buffer[tag_at + 8 : end]
                    contents[channel] = _Content(tag, arguments, self.deliveries[channel])
                    ours = True
                else:
                    ours |= self._method(method, channel, buffer, at, end)
            elif channel in contents:
                self._content(kind, channel, buffer, at, end)
            else:
                self._other(buffer[at : end + 1])
            at = end + 1
        self._tail = buffer[at:]
        if len(self._tail) > FRAME_MAX:
            raise FrameError(f"the broker sent a frame of more than {FRAME_MAX} bytes")
        return ours

    def _content(self, kind: int, channel: int, buffer: bytes, at: int, end: int) -> None:
        content = self._contents[channel]
        if kind == _BODY and content.properties is not None:
            piece = buffer[at + 7 : end]
            content.pieces.append(piece)
            content.missing -= len(piece)
        elif kind == _HEADER and content.properties is None and end - at >= 21:  # noqa: PLR2004  # 7 + 14: an empty content header
            content.missing = _long_of(buffer, at + 11)[0]
            content.properties = buffer[at + 19 : end]
        else:
            raise FrameError(f"the broker sent a frame of type {kind} inside a delivery")
        if content.missing < 0:
            raise FrameError("the broker sent a longer body than it announced")
        if not content.missing:
            del self._contents[channel]
            pieces = content.pieces
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if not content.rows:
                self.touched.append(channel)
            content.rows.append((content.tag, content.arguments, content.properties, body))

    def _method(self, method: int, channel: int, buffer: bytes, at: int, end: int) -> bool:
        if method in (_ACK, _NACK) and channel in self.confirms:
            multiple = bool(buffer[at + 19] & 1)
            self.confirms[channel](_long_of(buffer, at + 11)[0], multiple, method == _ACK)
            return True
        if method == _CLOSE_OK and channel in self.closings:
            self.closings.pop(channel)()
            return True
        self._other(buffer[at : end + 1])
        return False
