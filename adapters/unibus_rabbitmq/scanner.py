"""Takes the frames of traffic out of what a broker sends, and leaves the rest to pika.

This is a matter of speed, and of correctness: pika decodes the headers of a delivery before anybody
has asked for them, and one that it cannot decode costs the connection and every delivery beside it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from unibus_rabbitmq.frames import (
    ACK,
    BODY,
    CLOSE_OK,
    DELIVER,
    END,
    FRAME_MAX,
    HEADER,
    HEARTBEAT,
    METHOD,
    NACK,
)

_KINDS = frozenset((METHOD, HEADER, BODY, HEARTBEAT[0]))
_head_of = struct.Struct(">BHI").unpack_from
_method_of = struct.Struct(">I").unpack_from
_long_of = struct.Struct(">Q").unpack_from

Row = tuple[int, bytes, bytes, bytes]
"""A delivery as it came: tag; redelivered bit, exchange and routing key; properties; body."""


class FrameError(Exception):
    """The bytes are not what AMQP 0-9-1 allows here; the connection cannot go on."""


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
            if buffer[end] != END:
                raise FrameError("the broker sent a frame without its end mark")
            if kind == METHOD:
                method = _method_of(buffer, at + 7)[0]
                if method == DELIVER and channel in self.deliveries:
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
        if kind == BODY and content.properties is not None:
            piece = buffer[at + 7 : end]
            content.pieces.append(piece)
            content.missing -= len(piece)
        elif kind == HEADER and content.properties is None and end - at >= 21:  # noqa: PLR2004  # 7 + 14: an empty content header
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
        if method in (ACK, NACK) and channel in self.confirms:
            multiple = bool(buffer[at + 19] & 1)
            self.confirms[channel](_long_of(buffer, at + 11)[0], multiple, method == ACK)
            return True
        if method == CLOSE_OK and channel in self.closings:
            self.closings.pop(channel)()
            return True
        self._other(buffer[at : end + 1])
        return False
