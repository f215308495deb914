"""The properties of a message as bytes: AMQP 0-9-1 section 4.2.6.1, class basic."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

import pika
from typing_extensions import override

from unibus import spi
from unibus_rabbitmq import tables

MAX_PROPERTIES_BYTES: Final = 131_072 - 8 - 12
"""What a frame of RabbitMQ's default ``frame_max`` has room for; one byte more is a 501, and the
connection is gone."""
MAX_SHORT_BYTES: Final = 255
"""Longest property of text: AMQP 0-9-1 section 4.2.5.3."""

# Flag bit and kind of each property, in the order of AMQP 0-9-1 section 4.2.6.1 and class basic.
_FIELDS = (
    ("content_type", 15, "s"), ("content_encoding", 14, "s"), ("headers", 13, "F"),
    ("delivery_mode", 12, "B"), ("priority", 11, "B"), ("correlation_id", 10, "s"),
    ("reply_to", 9, "s"), ("expiration", 8, "s"), ("message_id", 7, "s"), ("timestamp", 6, "Q"),
    ("type", 5, "s"), ("user_id", 4, "s"), ("app_id", 3, "s"), ("cluster_id", 2, "s"),
)  # fmt: skip
_FIXED = {"B": struct.Struct(">B"), "Q": struct.Struct(">Q")}
_flags_at = struct.Struct(">H").unpack_from
_pack_flags = struct.Struct(">H").pack

_NUMBERS = {
    ord(kind): struct.Struct(f">{code}") for kind, code in zip("bBsuIil", "bBhHiIq", strict=True)
}


class Encoded(pika.BasicProperties):  # type: ignore[misc]  # pika ships no types
    """Properties that are bytes already, for a pika that publishes them as they are."""

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self.raw = raw

    @override
    def encode(self) -> list[bytes]:
        """Return what pika writes after the size of the body."""
        return [self.raw]

    @override
    def __repr__(self) -> str:  # pika's own shows every header
        return f"<Encoded {len(self.raw)} bytes>"


def encode_fields(values: Mapping[str, object]) -> bytes:
    """Return flags and properties of *values*, as they follow the size of the body.

    Raises:
        MessageRejectedError: They do not fit.
    """
    flags = 0
    parts = [b""]
    for name, bit, kind in _FIELDS:
        if name not in values:
            continue
        value = values[name]
        flags |= 1 << bit
        if kind == "s":
            parts.append(_encode_short(name, value))
        elif isinstance(value, dict):
            parts.append(tables.encode_table(value))
        else:
            parts.append(_FIXED[kind].pack(value))
    parts[0] = _pack_flags(flags)
    raw = b"".join(parts)
    if len(raw) > MAX_PROPERTIES_BYTES:
        raise spi.MessageRejectedError(
            f"headers and other properties take {len(raw)} bytes; RabbitMQ has room for"
            f" {MAX_PROPERTIES_BYTES}, put some into the body"
        )
    return raw


def _encode_short(name: str, value: object) -> bytes:
    data = value if isinstance(value, bytes) else str(value).encode()
    if len(data) > MAX_SHORT_BYTES:
        raise spi.MessageRejectedError(
            f"property {name} has {len(data)} bytes; AMQP 0-9-1 has room for {MAX_SHORT_BYTES}"
        )
    return bytes((len(data),)) + data


def decode(raw: bytes) -> dict[str, object]:
    """Return the properties in *raw*, flags first, by pika's names; headers as Python has them.

    Raises:
        ValueError: They cannot be decoded; the text names the header if it is one.
    """
    try:
        return _decode_fields(raw)
    except (struct.error, IndexError) as error:
        raise ValueError("the properties end before their last value") from error


def _decode_fields(raw: bytes) -> dict[str, object]:
    flags = _flags_at(raw)[0]
    at = 2
    more = flags
    while more & 1:  # RabbitMQ knows of no property in a second word of flags
        more = _flags_at(raw, at)[0]
        at += 2
    fields: dict[str, object] = {}
    for name, bit, kind in _FIELDS:
        if not flags >> bit & 1:
            continue
        if kind == "s":
            start = at + 1
            at = start + raw[at]
            fields[name] = raw[start:at].decode(errors="backslashreplace")
        elif kind == "F":
            fields[name], at = tables.decode_table(raw, at)
        else:
            fields[name] = _FIXED[kind].unpack_from(raw, at)[0]
            at += _FIXED[kind].size
    return fields


def of_pika(native: pika.BasicProperties) -> dict[str, object]:
    """Return properties that pika has decoded, as ``decode`` does."""
    values = ((name, getattr(native, name)) for name, _, _ in _FIELDS)
    return {name: value for name, value in values if value is not None}


def attempt(raw: bytes, *, redelivered: bool) -> int:
    """Return which attempt a delivery from a quorum queue is, without decoding its headers.

    RabbitMQ 4.3 leaves the count of the queue it came from on a dead letter, so a first delivery
    is a first attempt whatever the header says.
    """
    return (_number(raw, "x-delivery-count") or 0) + 1 if redelivered else 1


def stream_offset(raw: bytes) -> int | None:
    """Return where a delivery from a stream lies in it, without decoding its headers."""
    return _number(raw, "x-stream-offset")


def _number(raw: bytes, name: str) -> int | None:
    """Return the integer of header *name*; the last one, which is the broker's."""
    mark = bytes((len(name),)) + name.encode()
    at = raw.rfind(mark) + len(mark)
    if at < len(mark) or at >= len(raw) or (number := _NUMBERS.get(raw[at])) is None:
        return None
    return int(number.unpack_from(raw, at + 1)[0])
